"""Handing one message over: to the first provider that takes it.

Nothing is given away before it is certain that the claim is ours still.

A fault of the message never goes on to the next provider; one of a wider scope does. What is held back, by pace,
throttling or a wrong set-up, waits without using up its attempts.
"""

import logging
import time
from collections.abc import Iterator, Sequence

import msgspec

from backend.channels.base import (
    WHOLE_ROUTE,
    Asking,
    Message,
    Outcome,
    Provider,
    ProviderError,
    Receipt,
    Repeatable,
    Scope,
)
from backend.channels.smtp_places import Busy
from backend.db import session as db
from backend.db.leases import LostError
from backend.delivery import consequences, doubt, patience, places, providers, record, routes, watch
from backend.delivery.claims import Claim
from backend.delivery.doubt import Doubt
from backend.delivery.passage import Passage
from backend.delivery.patience import Wait
from backend.delivery.record import WIDEST, Result, Waiting
from backend.delivery.routes import Connections
from backend.lib import clock

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 1.0  # a group waits for its turn for so long, then goes back


def hand_over(claim: Claim, message: Message, passage: Passage) -> Result | Waiting:
    """Give a message to the first of the chosen providers that takes it, or say until when it waits.

    Raises:
        LostError: if the claim is another's by now; then nothing more was given away.
    """
    if claim.doubt == Doubt.ASK:
        found = _ask(claim, message, passage.connections)
        if found is not None:
            return found
    turned = passage.turned.pop(claim.id, None)
    if turned is not None:
        return Waiting(claim, turned, None)
    before = passage.passed.pop(claim.id, None)
    tried = [] if before is None else [before]
    waits: list[Wait] = []
    for provider in passage.choice.providers:
        if tried and not patience.goes_on(tried[-1]):
            break
        if provider.name in passage.choice.down or (before is not None and provider.name == before.provider):
            continue
        wait = _held(claim, message, provider, passage)
        if wait is not None:
            waits.append(wait)
            continue
        try:
            tried.append(_attempt(claim, message, provider, passage))
        except Busy as busy:
            waits.append(_turned(claim, provider, busy, passage))
            break
    return patience.settle(claim, message, passage, tried, waits)


def width(passage: Passage) -> int:
    """Return how many messages can be under way at once by the provider that comes first now."""
    provider = _first(passage)
    connection = None if provider is None or passage.choice.trial else passage.connections.bursting(provider)
    return min(connection.burst, WIDEST) if connection is not None else 1


class Turn(msgspec.Struct, frozen=True):
    """How many messages may leave now, 0 if none may soon, and the provider whose rate they are counted in, if any."""

    count: int
    provider: str | None = None


def turn(some: Sequence[Claim], passage: Passage) -> Turn:
    """Wait for the turn of the first of some messages; say how many of them may leave now.

    While the provider that comes first has as many as it bears, the next that has room for more takes the group.
    """
    provider = _first(passage)
    if provider is None or not passage.rates.knows(provider.name):
        return Turn(len(some))
    others = [one for one in passage.choice.providers if one.name not in passage.choice.down]
    if passage.rates.is_full(provider.name):
        free = next((one for one in others if not passage.rates.is_full(one.name)), provider)
        passage.choice.providers.sort(key=lambda one: one is not free)
        provider = free
    count = passage.rates.take(provider.name, some[0].priority, len(some), _PATIENCE_SECONDS)
    return Turn(count, provider.name)


def _first(passage: Passage) -> Provider | None:
    choice = passage.choice
    return next((one for one in choice.providers if one.name not in choice.down), None)


def burst(pairs: Sequence[tuple[Claim, Message]], passage: Passage) -> Iterator[list[Result]]:
    """Give several messages to the first of the chosen providers at once.

    Yields what came of them, each time before a long wait, to be marked. Those whose end it is not, and those that
    were not begun, are not among them.

    Raises:
        LostError: if the claims are another's by now; then nothing was given away.
    """
    provider = _first(passage)
    connection = None if provider is None else passage.connections.bursting(provider)
    if provider is None or connection is None:
        return
    pairs = [pair for pair in pairs if not consequences.is_apart(pair[1], provider, passage)]
    if not pairs:
        return
    _begin([claim for claim, _ in pairs], provider, passage)
    began, begun = time.perf_counter(), clock.elapsed()
    passage.group.begin(pairs[0][0], provider)
    known: list[Result] = []
    seen: list[tuple[Result, float]] = []
    answers = iter(pairs)
    try:
        for answer in connection.send_all([message for _, message in pairs]):
            if answer is None:
                yield known
                known = []
                continue
            claim, message = next(answers)
            if isinstance(answer, Busy):
                passage.turned[claim.id] = _turned(claim, provider, answer, passage).until
                continue
            result = _told(claim, provider, answer, connection)
            seen.append((result, time.perf_counter() - began))
            consequences.follow_up(result, message, provider, passage, begun)
            if patience.is_end(result):
                known.append(result)
            else:
                passage.passed[claim.id] = result
    finally:
        passage.group.end()
        watch.attempted(seen)
    yield known


def _begin(claims: Sequence[Claim], provider: Provider, passage: Passage) -> None:
    """See that claims are ours still, and, where a message must not be given away twice, write down that it is now."""
    passage.lease.confirm(claims[0].token)
    if isinstance(provider, Repeatable):
        return
    with db.current().single_statements() as run:
        if not record.begin(run, claims, provider.name):
            raise LostError


def _told(claim: Claim, provider: Provider, answer: Receipt | ProviderError, connection: object) -> Result:
    """Read what a provider made of a message."""
    if isinstance(answer, ProviderError):
        in_doubt = _unknown(claim, provider, connection) if answer.outcome is Outcome.AMBIGUOUS else None
        return record.failure(claim, provider.name, answer, in_doubt, _scope(claim, provider, answer))
    return Result(
        claim=claim,
        outcome=Outcome.ACCEPTED,
        provider=provider.name,
        detail=answer.detail,
        provider_message_id=answer.provider_message_id,
        segments=answer.segments,
    )


def _scope(claim: Claim, provider: Provider, error: ProviderError) -> Scope:
    """Return the scope of a refusal, which is narrower where the address is the way, or has a pace of its own."""
    if places.is_way(claim.address):
        return Scope.RECIPIENT
    if error.outcome is Outcome.THROTTLED and error.scope in WHOLE_ROUTE | {Scope.SESSION}:
        # A session that was new has refused it too.
        return Scope.RECIPIENT if places.of_address(provider, claim.address) else Scope.ACCOUNT
    return error.scope


def _held(claim: Claim, message: Message, provider: Provider, passage: Passage) -> Wait | None:
    """Wait for what is held back by itself; else take its turn, if it has a pace or a rate."""
    own = places.of_address(provider, claim.address)
    if own:
        return _paced(claim, provider, own, passage)
    if not consequences.is_apart(message, provider, passage):
        return None
    now = clock.now()
    for place in places.of_message(message):
        key = (provider.name, place)
        held = passage.choice.state.places.get(key)
        if held is not None and held.until > now:
            return patience.for_place(held, place, provider)
        wait = passage.rates.wait(key)
        if wait is not None:
            return patience.for_turn(key, claim.priority, *wait, passage)
    return None


def _paced(claim: Claim, provider: Provider, place: str, passage: Passage) -> Wait | None:
    """Wait for an address that is held back; else take its turn, if it has a pace."""
    held_back = passage.choice.state.places
    key, now = (provider.name, place), clock.now()
    held = held_back.get(key)
    pace = places.pace_of(provider, claim.address) or 0.0
    if held is None or held.until <= now:
        if not pace:
            return None
        with db.current().write() as session:
            free, held = providers.reserve(session, provider, place, pace)
        held_back[key] = held
        if free:
            return None
    until = passage.tails.after(key, claim.priority, held.until, pace)
    return patience.for_address(held, until, provider)


def _turned(claim: Claim, provider: Provider, busy: Busy, passage: Passage) -> Wait:
    """Wait for room here; it is no attempt, for the provider has seen nothing of it."""
    return patience.for_turn((provider.name, ""), claim.priority, busy.seconds, busy.pace, passage)


def _attempt(claim: Claim, message: Message, provider: Provider, passage: Passage) -> Result:
    group, connection = passage.group, passage.connections.to(provider)
    _begin([claim], provider, passage)
    began, begun = time.perf_counter(), clock.elapsed()
    answer: Receipt | ProviderError
    group.begin(claim, provider)
    try:
        answer = connection.send(message)
    except Busy:
        raise
    except ProviderError as fault:
        answer = fault
    except Exception as fault:
        # A provider's own defect must not take the other messages with it; the message stays to be tried again.
        logger.exception("Provider %s failed in a way of its own", provider.name)
        answer = ProviderError(Outcome.RETRY, f"The provider failed unexpectedly ({type(fault).__name__}).")
    finally:
        group.end()
    result = _told(claim, provider, answer, connection)
    watch.attempted([(result, time.perf_counter() - began)])
    consequences.follow_up(result, message, provider, passage, begun)
    return result


def _unknown(claim: Claim, provider: Provider, connection: object) -> Doubt | None:
    return doubt.policy(provider, connection, claim.attempts + 1)


def _ask(claim: Claim, message: Message, connections: Connections) -> Result | None:
    """Ask the provider of the last attempt what became of it; ``None`` when it did not take the message."""
    asked = [one for one in routes.routes()[claim.channel] if one.name == claim.provider]
    connection: object = connections.to(asked[0]) if asked else None
    if not isinstance(connection, Asking):
        name = claim.provider or "the provider"
        detail = doubt.sentence(name, "it can no longer be asked")
        return Result(claim=claim, outcome=Outcome.AMBIGUOUS, provider=name, detail=detail, doubt=Doubt.PERSON)
    try:
        receipt = connection.find(message)
    except ProviderError as fault:
        unknown = ProviderError(Outcome.AMBIGUOUS, f"asked for it: {fault.detail}", retry_after=fault.retry_after)
        return record.failure(claim, asked[0].name, unknown, _unknown(claim, asked[0], connection))
    if receipt is None:
        return None
    return Result(
        claim=claim,
        outcome=Outcome.ACCEPTED,
        provider=asked[0].name,
        detail=receipt.detail,
        provider_message_id=receipt.provider_message_id,
        segments=receipt.segments,
    )
