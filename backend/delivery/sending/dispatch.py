"""Dispatching one message: to the first provider that takes it.

Nothing is given away before it is certain that the claim is ours still.

A fault of the message never goes on to the next provider; one of a wider scope does. What is held back, by pacing,
throttling or a wrong set-up, waits without using up its attempts.
"""

import logging
import time
from collections.abc import Collection, Iterator, Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels import simulator
from backend.channels.base import (
    WHOLE_ROUTE,
    Channel,
    Message,
    Outcome,
    Provider,
    ProviderError,
    Receipt,
    Scope,
    StatusLookup,
)
from backend.channels.registry import SIMULATORS
from backend.channels.smtp_capacity import Busy
from backend.db import database as db
from backend.db.leases import LostError
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Delivery
from backend.delivery.outcomes import receipts, record, unknown_outcome
from backend.delivery.outcomes.record import WIDEST, Result, Waiting
from backend.delivery.outcomes.unknown_outcome import UnknownOutcome
from backend.delivery.providers import health, routes
from backend.delivery.providers.routes import Connections
from backend.delivery.queueing.claims import Claim
from backend.delivery.sending import consequences, telemetry
from backend.delivery.sending.consequences import Wait
from backend.delivery.sending.send_context import Choice, SendContext
from backend.lib import clock

logger = logging.getLogger(__name__)
_PATIENCE_SECONDS = 1.0  # a group waits for its turn for so long, then goes back


def dispatch_one(claim: Claim, message: Message, context: SendContext) -> Result | Waiting:
    """Give a message to the first of the chosen providers that takes it, or say until when it waits.

    Raises:
        LostError: if the claim is another's by now; then nothing more was given away.
    """
    if claim.doubt == UnknownOutcome.ASK:
        found = _ask(claim, message, context.connections)
        if found is not None:
            return found
    deferred = context.deferred.pop(claim.id, None)
    if deferred is not None:
        return Waiting(claim, deferred, None)
    before = context.unfinished.pop(claim.id, None)
    tried = [] if before is None else [before]
    waits: list[Wait] = []
    for provider in context.choice.providers:
        if tried and not consequences.goes_on(tried[-1]):
            break
        if provider.name in context.choice.down or (before is not None and provider.name == before.provider):
            continue
        if provider.name in context.full:
            waits.append(_deferred(claim, provider, context))
            break
        wait = _wait_own(claim, message, provider, context)
        if wait is not None:
            waits.append(wait)
            continue
        try:
            tried.append(_attempt(claim, message, provider, context))
        except Busy as busy:
            context.full[provider.name] = busy
            _give_back(provider, context)
            waits.append(_deferred(claim, provider, context))
            break
    return consequences.conclude(claim, message, context, tried, waits)


def width(context: SendContext) -> int:
    """Return how many messages can be under way at once by the provider that comes first now."""
    provider = _first(context)
    connection = None if provider is None or context.choice.trial else context.connections.bursting(provider)
    return min(connection.burst, WIDEST) if connection is not None else 1


def wait_for_permits(some: Sequence[Claim], context: SendContext) -> int:
    """Wait for the turn of the first of some messages; return how many of them may leave now, 0 if none may soon.

    While the provider that comes first has as many as it bears, the next that has room for more takes the group.
    """
    provider = _first(context)
    context.counted = None
    context.full.clear()
    if provider is None or not context.rates.knows(provider.name):
        return len(some)
    others = [one for one in context.choice.providers if one.name not in context.choice.down]
    if context.rates.is_full(provider.name):
        free = next((one for one in others if not context.rates.is_full(one.name)), provider)
        context.choice.providers.sort(key=lambda one: one is not free)
        provider = free
    context.counted = provider.name
    return context.rates.take(provider.name, some[0].priority, len(some), _PATIENCE_SECONDS)


def _first(context: SendContext) -> Provider | None:
    choice = context.choice
    return next((one for one in choice.providers if one.name not in choice.down), None)


def burst(pairs: Sequence[tuple[Claim, Message]], context: SendContext) -> Iterator[list[Result]]:
    """Give several messages to the first of the chosen providers at once.

    Yields what came of them, each time before a long wait, to be marked. Those whose end it is not, and those that
    were not begun, are not among them.

    Raises:
        LostError: if the claims are another's by now; then nothing was given away.
    """
    provider = _first(context)
    connection = None if provider is None else context.connections.bursting(provider)
    if provider is None or connection is None:
        return
    pairs = [pair for pair in pairs if not consequences.is_apart(pair[1], provider, context)]
    if not pairs:
        return
    _begin([claim for claim, _ in pairs], provider, context)
    began, begun = time.perf_counter(), clock.elapsed()
    context.group.begin(pairs[0][0], provider)
    known: list[Result] = []
    well: list[Message] = []
    seen: list[tuple[Result, float]] = []
    answers = iter(pairs)
    try:
        for answer in connection.send_all([message for _, message in pairs]):
            if answer is None:
                consequences.went_well(well, provider, context)
                well.clear()
                yield known
                known = []
                continue
            claim, message = next(answers)
            if isinstance(answer, Busy):
                context.full[provider.name] = answer
                context.deferred[claim.id] = _deferred(claim, provider, context).until
                continue
            result = result_of(claim, message, provider, answer, connection)
            seen.append((result, time.perf_counter() - began))
            if result.outcome is Outcome.ACCEPTED and not routes.is_own_route(claim.address):
                well.append(message)
                known.append(result)
                continue
            consequences.went_well(well, provider, context)
            well.clear()
            consequences.follow_up(result, message, provider, context, begun)
            if consequences.is_end(result):
                known.append(result)
            else:
                context.unfinished[claim.id] = result
    finally:
        context.group.end()
        consequences.went_well(well, provider, context)
        telemetry.attempted(seen)
    yield known


def _begin(claims: Sequence[Claim], provider: Provider, context: SendContext) -> None:
    """See that claims are ours still, and, where a message must not be given away twice, write down that it is now."""
    context.lease.confirm(claims[0].token)
    if unknown_outcome.is_repeatable(provider):
        return
    with db.current().single_statements() as run:
        if not record.begin(run, claims, provider.name):
            raise LostError


def result_of(
    claim: Claim, message: Message, provider: Provider, answer: Receipt | ProviderError, connection: object
) -> Result:
    """Read what a provider made of a message."""
    if isinstance(answer, ProviderError):
        outcome_unknown = _unknown(claim, provider, connection) if answer.outcome is Outcome.AMBIGUOUS else None
        return record.failure(claim, provider.name, answer, outcome_unknown, _scope(claim, provider, answer))
    return _taken(claim, message, provider, answer)


def _taken(claim: Claim, message: Message, provider: Provider, receipt: Receipt) -> Result:
    return Result(
        claim=claim,
        outcome=Outcome.ACCEPTED,
        provider=provider.name,
        detail=receipt.detail,
        provider_message_id=receipt.provider_message_id,
        segments=receipt.segments,
        subject=message.subject,
        thread=receipt.thread,
        message_id=receipt.message_id,
    )


def _scope(claim: Claim, provider: Provider, error: ProviderError) -> Scope:
    """Return the scope of a refusal, which is narrower where the address is the way, or has an interval of its own."""
    if routes.is_own_route(claim.address):
        return Scope.RECIPIENT
    if error.outcome is Outcome.THROTTLED and error.scope in WHOLE_ROUTE | {Scope.SESSION}:
        # A session that was new has refused it too.
        return Scope.RECIPIENT if routes.of_address(provider, claim.address) else Scope.ACCOUNT
    return error.scope


def _wait_own(claim: Claim, message: Message, provider: Provider, context: SendContext) -> Wait | None:
    """Wait for a turn in the rate of a provider that was not the first choice, and for what is held back by itself."""
    wait = None if provider.name == context.counted else context.rates.wait(provider.name)
    if wait is not None:
        return consequences.for_permit((provider.name, ""), claim.priority, *wait, context)
    blocked = _blocked(claim, message, provider, context)
    if blocked is not None:
        _give_back(provider, context)
    return blocked


def _give_back(provider: Provider, context: SendContext) -> None:
    """Leave a turn of a provider that was not the first choice to others; theirs are given back for the group."""
    if provider.name != context.counted:
        context.rates.give_back(provider.name, 1)


def _blocked(claim: Claim, message: Message, provider: Provider, context: SendContext) -> Wait | None:
    """Wait for what is held back by itself; else take its turn, if it has an interval or a rate."""
    own = routes.of_address(provider, claim.address)
    if own:
        return _paced(claim, provider, own, context)
    if not consequences.is_apart(message, provider, context):
        return None
    now = clock.now()
    for destination in routes.of_message(message):
        key = (provider.name, destination)
        blocked = context.choice.state.destinations.get(key)
        if blocked is not None and blocked.until > now:
            return consequences.for_destination(blocked, destination, provider)
        wait = context.rates.wait(key)
        if wait is not None:
            return consequences.for_permit(key, claim.priority, *wait, context)
    return None


def _paced(claim: Claim, provider: Provider, destination: str, context: SendContext) -> Wait | None:
    """Wait for an address that is held back; else take its turn, if it has an interval."""
    blocked_destinations = context.choice.state.destinations
    key, now = (provider.name, destination), clock.now()
    blocked = blocked_destinations.get(key)
    interval = routes.interval_of(provider, claim.address) or 0.0
    if blocked is None or blocked.until <= now:
        if not interval:
            return None
        with db.current().transaction() as session:
            free, blocked = health.reserve(session, provider, destination, interval)
        blocked_destinations[key] = blocked
        if free:
            return None
    until = context.pacing.after(key, claim.priority, blocked.until, interval)
    return consequences.for_address(blocked, until, provider)


def _deferred(claim: Claim, provider: Provider, context: SendContext) -> Wait:
    """Wait for room here; it is no attempt, for the provider has seen nothing of it."""
    busy = context.full[provider.name]
    return consequences.for_permit((provider.name, ""), claim.priority, busy.seconds, busy.interval, context)


def _attempt(claim: Claim, message: Message, provider: Provider, context: SendContext) -> Result:
    group, connection = context.group, context.connections.to(provider)
    _begin([claim], provider, context)
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
    result = result_of(claim, message, provider, answer, connection)
    telemetry.attempted([(result, time.perf_counter() - began)])
    consequences.follow_up(result, message, provider, context, begun)
    return result


def _unknown(claim: Claim, provider: Provider, connection: object) -> UnknownOutcome | None:
    return unknown_outcome.resolver(provider, connection, claim.attempts + 1)


def _ask(claim: Claim, message: Message, connections: Connections) -> Result | None:
    """Ask the provider of the last attempt what became of it; ``None`` when it did not take the message."""
    asked = [one for one in routes.routes()[claim.channel] if one.name == claim.provider]
    connection: object = connections.to(asked[0]) if asked else None
    if not isinstance(connection, StatusLookup):
        name = claim.provider or "the provider"
        detail = unknown_outcome.sentence(name, "it can no longer be asked")
        return Result(claim=claim, outcome=Outcome.AMBIGUOUS, provider=name, detail=detail, doubt=UnknownOutcome.PERSON)
    try:
        receipt = connection.find(message)
    except ProviderError as fault:
        unknown = ProviderError(Outcome.AMBIGUOUS, f"asked for it: {fault.detail}", retry_after=fault.retry_after)
        return record.failure(claim, asked[0].name, unknown, _unknown(claim, asked[0], connection))
    if receipt is None:
        return None
    return _taken(claim, message, asked[0], receipt)


# What the simulator stands in for: messages to its addresses, and all of the mode ``test``.
#
# They take the way of every other message, but that nothing of what comes of them tells of a real provider. What the
# simulator will report of them is kept with their outcome, as receipts that are due later.


def is_simulated(claim: Claim) -> bool:
    """Tell whether a message goes to the simulator and to no provider."""
    return claim.mode == Mode.TEST or simulator.is_address(claim.channel, claim.address)


def simulate_one(claim: Claim, message: Message, context: SendContext) -> Result | Waiting:
    """Give a message to the simulator, or say until when it waits.

    Raises:
        LostError: if the claim is another's by now.
    """
    provider = SIMULATORS[claim.channel]
    connection = provider.open()
    context.lease.confirm(claim.token)
    began = time.perf_counter()
    answer: Receipt | ProviderError
    try:
        answer = connection.send(message)
    except ProviderError as fault:
        answer = fault
    result = result_of(claim, message, provider, answer, connection)
    if claim.mode == Mode.TEST and result.outcome is Outcome.ACCEPTED:
        result = msgspec.structs.replace(result, kept=message)
    telemetry.attempted([(result, time.perf_counter() - began)])
    own = msgspec.structs.replace(context, choice=Choice([provider], context.choice.state))
    return consequences.conclude(claim, message, own, [result], [])


def expect(session: Session, results: Sequence[Result]) -> None:
    """Keep what the simulator will report of messages that it took."""
    for one in results:
        if one.provider == simulator.NAME and one.outcome is Outcome.ACCEPTED:
            _expect(session, one.claim.channel, one.claim.address, str(one.claim.uid))


def expect_anew(session: Session, delivery_ids: Collection[int]) -> None:
    """Keep it of messages whose worker stopped before it could."""
    wanted = select(Delivery.type, Delivery.address, Delivery.uid).where(Delivery.id.in_(delivery_ids))
    for kind, address, uid in session.execute(wanted):
        _expect(session, Channel(kind), address, str(uid))


def _expect(session: Session, channel: Channel, address: str, delivery_id: str) -> None:
    now = clock.now()
    for news in simulator.news(channel, address, delivery_id, now):
        receipts.expect(session, simulator.NAME, news.event, now + news.after)
