"""Handing one message over: to the first provider that takes it, and what each answer means for those to come.

Nothing is given away before it is certain that the claim is ours still.

A fault of the message never goes on to the next provider; a fault of the provider does. What is held back, by pace,
throttling or a wrong set-up, waits without using up its attempts.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import msgspec

from backend.channels.base import Asking, Message, Outcome, Provider, ProviderError, Receipt, Repeatable
from backend.db import session as db
from backend.db.leases import Lease, LostError
from backend.delivery import doubt, providers, record, retries, routes, watch
from backend.delivery.choice import Choice
from backend.delivery.claims import Claim
from backend.delivery.doubt import Doubt
from backend.delivery.gate import Place
from backend.delivery.group import Group
from backend.delivery.health import Tally
from backend.delivery.providers import Block, Held
from backend.delivery.queues import Tails
from backend.delivery.record import WIDEST, Result, Waiting
from backend.delivery.routes import Connections
from backend.lib import clock
from backend.lib.outages import OUTAGES

logger = logging.getLogger(__name__)

_BLOCKS: Mapping[Outcome, Block] = {Outcome.THROTTLED: Block.THROTTLED, Outcome.CONFIG: Block.CONFIG}
_NOT_TAKEN = {Outcome.RETRY, Outcome.THROTTLED, Outcome.CONFIG}


class Passage(msgspec.Struct):
    """What handing over a group needs: its claims, the choice made for it, and what this process remembers.

    ``passed`` holds, by delivery, what came of an attempt together with others that goes on to the next provider.
    """

    group: Group
    choice: Choice
    place: Place
    tally: Tally
    tails: Tails
    lease: Lease
    passed: dict[int, Result] = {}

    @property
    def connections(self) -> Connections:
        """Return the connections that may be used now."""
        return self.place.connections


def hand_over(claim: Claim, message: Message, passage: Passage) -> Result | Waiting:
    """Give a message to the first of the chosen providers that takes it, or say until when it waits.

    Raises:
        LostError: if the claim is another's by now; then nothing more was given away.
    """
    if claim.doubt == Doubt.ASK:
        found = _ask(claim, message, passage.connections)
        if found is not None:
            return found
    choice = passage.choice
    last: Result | None = None
    before = passage.passed.pop(claim.id, None)
    tried = [] if before is None else [before]
    for provider in choice.providers:
        if provider.name in choice.down:
            continue
        place = providers.place_of(provider, claim.address)
        held = _held(claim, provider, place, passage) if place else None
        if held is not None:
            return _after(tried, held)
        last, error = _attempt(claim, message, provider, passage)
        _follow_up(last, error, provider, place, passage)
        if provider.name not in choice.down or last.outcome not in _NOT_TAKEN:
            return _after(tried, _of_address(last, passage, provider, place))
        tried.append(last)
    return _after(tried, _nobody(claim, last or _failed(before), choice))


def _failed(before: Result | None) -> Result | None:
    """Take an attempt together with others for the last one where it failed; what was held back is held back."""
    return before if before is not None and before.outcome is Outcome.RETRY else None


def _after(tried: Sequence[Result], answer: Result | Waiting) -> Result | Waiting:
    """Let an answer tell of the providers that were tried before it came."""
    earlier = tuple(one for one in tried if one is not answer)
    return msgspec.structs.replace(answer, earlier=earlier) if earlier else answer


def width(passage: Passage) -> int:
    """Return how many messages can be under way at once by the provider that comes first now."""
    provider = _first(passage.choice)
    connection = None if provider is None or passage.choice.trial else passage.connections.bursting(provider)
    return min(connection.burst, WIDEST) if connection is not None else 1


def _first(choice: Choice) -> Provider | None:
    return next((one for one in choice.providers if one.name not in choice.down), None)


def burst(pairs: Sequence[tuple[Claim, Message]], passage: Passage) -> Iterator[list[Result]]:
    """Give several messages to the first of the chosen providers at once.

    Yields what came of them, each time before a long wait, to be marked. Those for which it means nothing, being
    the provider's fault, and those that were not begun are not among them.

    Raises:
        LostError: if the claims are another's by now; then nothing was given away.
    """
    provider = _first(passage.choice)
    connection = None if provider is None else passage.connections.bursting(provider)
    if provider is None or connection is None:
        return
    _begin([claim for claim, _ in pairs], provider, passage)
    began = time.perf_counter()
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
            claim, _ = next(answers)
            result, error = _told(claim, provider, answer, connection)
            seen.append((result, time.perf_counter() - began))
            _follow_up(result, error, provider, "", passage)
            if provider.name not in passage.choice.down or result.outcome not in _NOT_TAKEN:
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


def _told(
    claim: Claim, provider: Provider, answer: Receipt | ProviderError, connection: object
) -> tuple[Result, ProviderError | None]:
    """Read what a provider made of a message."""
    if isinstance(answer, ProviderError):
        in_doubt = _unknown(claim, provider, connection) if answer.outcome is Outcome.AMBIGUOUS else None
        return record.failure(claim, provider.name, answer, in_doubt), answer
    result = Result(
        claim=claim,
        outcome=Outcome.ACCEPTED,
        provider=provider.name,
        detail=answer.detail,
        provider_message_id=answer.provider_message_id,
        segments=answer.segments,
    )
    return result, None


def _held(claim: Claim, provider: Provider, place: str, passage: Passage) -> Waiting | None:
    """Wait for an address that is held back; else take its turn, if it has a pace."""
    places = passage.choice.state.places
    key, now = (provider.name, place), clock.now()
    held = places.get(key)
    pace = providers.pace_of(provider, claim.address) or 0.0
    if held is None or held.until <= now:
        if not pace:
            return None
        with db.current().write() as session:
            free, held = providers.reserve(session, provider, place, pace)
        places[key] = held
        if free:
            return None
    until = passage.tails.after(key, claim.priority, held.until, pace)
    return Waiting(claim, until, None if held.block == Block.PACE else held.reason)


def _attempt(
    claim: Claim, message: Message, provider: Provider, passage: Passage
) -> tuple[Result, ProviderError | None]:
    group, connection = passage.group, passage.connections.to(provider)
    _begin([claim], provider, passage)
    began = time.perf_counter()
    answer: Receipt | ProviderError
    group.begin(claim, provider)
    try:
        answer = connection.send(message)
    except ProviderError as fault:
        answer = fault
    except Exception as fault:
        # A provider's own defect must not take the other messages with it; the message stays to be tried again.
        logger.exception("Provider %s failed in a way of its own", provider.name)
        answer = ProviderError(Outcome.RETRY, f"The provider failed unexpectedly ({type(fault).__name__}).")
    finally:
        group.end()
    result, error = _told(claim, provider, answer, connection)
    watch.attempted([(result, time.perf_counter() - began)])
    return result, error


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


def _follow_up(result: Result, error: ProviderError | None, provider: Provider, place: str, passage: Passage) -> None:
    """Hold back the provider or the address that is at fault, or note that it is well.

    What the database does not take of it is found out again; the attempt itself must not be forgotten for that.
    """
    outcome, choice = result.outcome, passage.choice
    if providers.is_way(result.claim.address):
        _follow_up_address(result, provider, place, passage)
        return
    down = error is not None and error.route_down
    throttled = outcome is Outcome.THROTTLED
    fault = (down and not throttled) or outcome is Outcome.AMBIGUOUS
    failing = passage.tally.note(provider.name, accepted=outcome is Outcome.ACCEPTED, fault=fault)
    if throttled and place:
        _hold(result, provider, place, Block.THROTTLED, passage)
    elif throttled or (outcome is Outcome.CONFIG and down):
        _hold(result, provider, "", _BLOCKS[outcome], passage)
    elif failing or (fault and choice.trial == provider.name):
        _hold(result, provider, "", Block.BROKEN, passage)
    elif not fault and choice.state.faults(provider.name):
        choice.state.providers.pop(provider.name)
        with suppress(*OUTAGES), db.current().write() as session:
            providers.recovered(session, provider.name, "")
    if (down or throttled) and not (throttled and place):
        choice.down.setdefault(provider.name, result.detail)


def _follow_up_address(result: Result, provider: Provider, place: str, passage: Passage) -> None:
    """What is wrong with an address that is itself the way is not wrong with the provider of the others."""
    ended = result.outcome in {Outcome.ACCEPTED, Outcome.PERMANENT}
    passage.tally.note(provider.name, accepted=result.outcome is Outcome.ACCEPTED, fault=False)
    if not ended:
        _hold(result, provider, place, _BLOCKS.get(result.outcome, Block.BROKEN), passage)
        return
    with suppress(*OUTAGES), db.current().write() as session:
        providers.recovered(session, provider.name, place)


def _hold(result: Result, provider: Provider, place: str, why: Block, passage: Passage) -> None:
    state = passage.choice.state
    seen = state.faults(provider.name, place)
    until = clock.now() + timedelta(seconds=providers.pause(why, seen, result.retry_after))
    held = Held(why.value, until, result.detail, seen + 1, off=False)
    with suppress(*OUTAGES), db.current().write() as session:
        providers.block(session, provider, place, held, seen=seen)
    if place:
        state.places[provider.name, place] = held
    else:
        state.providers[provider.name] = held


def _of_address(result: Result, passage: Passage, provider: Provider, place: str) -> Result | Waiting:
    """Let a message wait while its address alone cannot be sent to as we are set up, for a day at most."""
    if result.outcome is not Outcome.CONFIG:
        return result
    held = passage.choice.state.places.get((provider.name, place))
    if clock.now() - result.claim.accepted_at > retries.MAX_AGE:
        return msgspec.structs.replace(result, outcome=Outcome.PERMANENT)
    until = held.until if held else clock.now() + timedelta(seconds=providers.LONGEST[Block.CONFIG])
    return Waiting(result.claim, until, result.detail)


def _nobody(claim: Claim, last: Result | None, choice: Choice) -> Result | Waiting:
    """Tell what follows when none of the providers could be reached, now or a moment ago."""
    held = [one for name in choice.down if (one := choice.state.providers.get(name)) is not None]
    waits = min((one.until for one in held if one.block != Block.BROKEN), default=None)
    if waits is not None and (last is None or last.outcome is Outcome.CONFIG):
        return Waiting(claim, waits, held[0].reason)
    if last is not None:
        return last
    name, reason = next(iter(choice.down.items()))
    detail = f"Not taken, as others a moment ago: {reason}"
    return Result(claim=claim, outcome=Outcome.RETRY, provider=name, detail=detail)
