"""What an answer means for the messages to come: who is held back, slowed down, or well again.

All of it follows from the outcome and the scope of a refusal, and concerns that scope alone.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec

from backend.channels.base import WHOLE_ROUTE, Message, Outcome, Provider, Scope
from backend.db import database as db
from backend.delivery.outcomes.record import Result, Waiting
from backend.delivery.providers import health, routes
from backend.delivery.providers.health import LONGEST, Block, BlockState
from backend.delivery.queueing import retries
from backend.delivery.queueing.claims import Claim
from backend.delivery.sending.send_context import Down, SendContext
from backend.lib import clock, settings
from backend.lib.outages import OUTAGES

_BLOCKS = {Outcome.THROTTLED: Block.THROTTLED, Outcome.CONFIG: Block.CONFIG}
_NOT_TAKEN = {Outcome.RETRY, Outcome.THROTTLED, Outcome.CONFIG}
_PATIENT = {Outcome.THROTTLED, Outcome.CONFIG}
# Another provider may have another answer to these.
_WIDER = WHOLE_ROUTE | {Scope.SENDER, Scope.DOMAIN}
_SOON = timedelta(seconds=0.25)  # what was one too many is not the next again
_LONGEST_WAIT = timedelta(hours=1)
_FARTHEST_BEHIND = timedelta(minutes=15)
_FARTHEST = timedelta(minutes=1)  # a destination may bear more until then


def follow_up(result: Result, message: Message, provider: Provider, context: SendContext, begun: float) -> None:
    """Hold back or slow down what is at fault, or note that it is well; ``begun`` is of ``clock.elapsed``.

    What the database does not take of it is found out again; the attempt itself must not be forgotten for that.
    """
    outcome, choice = result.outcome, context.choice
    if routes.is_own_route(message.address):
        _follow_up_address(result, message, provider, context)
        return
    if outcome is Outcome.ACCEPTED:
        went_well([message], provider, context)
        return
    whole = result.scope in WHOLE_ROUTE
    fault = (whole and outcome is not Outcome.THROTTLED) or outcome is Outcome.AMBIGUOUS
    failing = context.tally.note(provider.name, accepted=False, fault=fault)
    if outcome is Outcome.THROTTLED:
        _slow_down(result, message, provider, context, begun)
        if not whole:
            _recovered(provider, context)  # it answers
    elif outcome is Outcome.CONFIG and (whole or routes.of_scope(result.scope, message)):
        _block(result, message, provider, routes.of_scope(result.scope, message), context)
    elif failing or (fault and choice.trial == provider.name):
        _block(result, message, provider, "", context)
    elif not fault:
        _recovered(provider, context)
    if whole and outcome is not Outcome.THROTTLED:
        choice.down.setdefault(provider.name, Down(result.claim.service_id, result.detail))


def went_well(messages: Sequence[Message], provider: Provider, context: SendContext) -> None:
    """Note that a provider took messages, from their senders and to their domains."""
    if not messages:
        return
    context.tally.note(provider.name, accepted=True, fault=False, count=len(messages))
    _recovered(provider, context)
    if not context.choice.state.destinations and not context.rates.of_destinations:
        context.rates.accepted(provider.name, count=len(messages))
        return
    for message in messages:
        _well(message, provider, context)


def is_apart(message: Message, provider: Provider, context: SendContext) -> bool:
    """Tell whether the sender or the domain of a message is, or was until now, held back or slowed down."""
    blocked = context.choice.state.destinations
    if not blocked and not context.rates.of_destinations:
        return False
    keys = [(provider.name, destination) for destination in routes.of_message(message)]
    return any(key in blocked or context.rates.knows(key) for key in keys)


def _recovered(provider: Provider, context: SendContext) -> None:
    """Forget the faults of a provider."""
    state = context.choice.state
    if state.faults(provider.name):
        state.providers.pop(provider.name)
        with suppress(*OUTAGES), db.current().transaction() as session:
            health.recovered(session, provider.name, "")


def _slow_down(result: Result, message: Message, provider: Provider, context: SendContext, begun: float) -> None:
    """Lower the rate of what was refused as too much, or hold it back for as long as it says.

    A recipient that takes no more for now concerns nobody else, unless it has an interval.
    """
    own = routes.of_address(provider, message.address)
    if result.scope in {Scope.RECIPIENT, Scope.MESSAGE} and not own:
        return
    destination = own or routes.of_scope(result.scope, message)
    if result.retry_after is not None or own:
        _block(result, message, provider, destination, context)
    else:
        key = (provider.name, destination) if destination else provider.name
        seconds = context.rates.refused(provider.name, key, begun)
        if seconds is None:
            return
        _block(result, message, provider, destination, context, seconds)
    if not destination:
        context.choice.down.setdefault(provider.name, Down(result.claim.service_id, result.detail))


def _well(message: Message, provider: Provider, context: SendContext) -> None:
    blocked = context.choice.state.destinations
    keys = [(provider.name, destination) for destination in routes.of_message(message)]
    context.rates.accepted(provider.name, *keys)
    for key in keys:
        if blocked.pop(key, None) is not None:
            with suppress(*OUTAGES), db.current().transaction() as session:
                health.recovered(session, *key)


def _follow_up_address(result: Result, message: Message, provider: Provider, context: SendContext) -> None:
    """What is wrong with an address that is itself the way is not wrong with the provider of the others."""
    destination = routes.of_address(provider, message.address)
    ended = result.outcome in {Outcome.ACCEPTED, Outcome.PERMANENT}
    context.tally.note(provider.name, accepted=result.outcome is Outcome.ACCEPTED, fault=False)
    if not ended:
        _block(result, message, provider, destination, context)
        return
    context.choice.state.destinations.pop((provider.name, destination), None)
    with suppress(*OUTAGES), db.current().transaction() as session:
        health.recovered(session, provider.name, destination)


def _block(  # noqa: PLR0913, PLR0917 - what came of which message, and who is held back for how long
    result: Result,
    message: Message,
    provider: Provider,
    destination: str,
    context: SendContext,
    seconds: float | None = None,
) -> None:
    """Hold a provider, or one of its destinations, back; several faults in one burst are one."""
    state, now = context.choice.state, clock.now()
    why = _BLOCKS.get(result.outcome, Block.BROKEN)
    before = state.blocked(provider.name, destination)
    seen = before.faults if before else 0
    until = now + timedelta(seconds=health.pause(why, seen, seconds or result.retry_after))
    if before is not None and before.block == why and before.until > now:
        if result.retry_after is None or before.until >= until:
            return
        seen = max(seen - 1, 0)
    blocked = BlockState(why.value, until, routes.titled(destination, message, result.detail), seen + 1, off=False)
    with suppress(*OUTAGES), db.current().transaction() as session:
        health.block(session, provider, destination, blocked, seen=seen)
    if destination:
        state.destinations[provider.name, destination] = blocked
    else:
        state.providers[provider.name] = blocked


# What follows for a message that nobody took now: whether it uses up a try, and until when it waits otherwise.


class Wait(msgspec.Struct, frozen=True):
    """Until when a provider, or a destination of it, takes nothing, and why, if that is news."""

    until: datetime
    why: str | None


def is_end(result: Result) -> bool:
    """Tell whether an attempt ends a message's turn, whatever other providers there are."""
    return result.outcome is Outcome.ACCEPTED or (result.outcome not in _PATIENT and not goes_on(result))


def goes_on(result: Result) -> bool:
    """Tell whether the next provider may take a message that this one did not."""
    return result.outcome in _NOT_TAKEN and result.scope in _WIDER


def for_destination(blocked: BlockState, destination: str, provider: Provider) -> Wait:
    """Wait for a sender, whose service may read why, or for a domain, of which others may have been told."""
    why = (
        blocked.reason
        if destination.startswith(routes.SENDER)
        else f"{provider.name} takes nothing for this domain for now."
    )
    return Wait(blocked.until, why)


def for_address(blocked: BlockState, until: datetime, provider: Provider) -> Wait:
    """Wait for an address that is held back, or until its next turn."""
    return Wait(
        until, None if blocked.block == Block.PACING else f"{provider.name} takes nothing for this address for now."
    )


def for_permit(key: tuple[str, str], priority: int, seconds: float, interval: float, context: SendContext) -> Wait:
    """Wait for a turn that comes after so many seconds, behind those who wait already."""
    free = clock.now() + timedelta(seconds=seconds)
    return Wait(context.pacing.after(key, priority, free, interval, _FARTHEST), None)


def conclude(
    claim: Claim, message: Message, context: SendContext, tried: Sequence[Result], waits: Sequence[Wait]
) -> Result | Waiting:
    """Say what the attempts at one or more providers come to together."""
    last = tried[-1] if tried else None
    if last is not None and is_end(last):
        return _after(tried[:-1], last)
    patient = [one for one in tried if one.outcome in _PATIENT]
    for name in context.choice.down:
        blocked = context.choice.state.providers.get(name)
        if blocked is not None and blocked.block != Block.BROKEN and all(one.provider != name for one in patient):
            waits = [*waits, Wait(blocked.until, _words(claim, name, context))]
    if patient or waits:
        return _waiting(claim, message, context, tried, waits)
    if last is not None:
        return _after(tried[:-1], last)
    name, reason = next(iter(context.choice.down.items()))
    return Result(
        claim=claim, outcome=Outcome.RETRY, provider=name, detail=f"Not taken, as others a moment ago: {reason}"
    )


def _words(claim: Claim, provider: str, context: SendContext) -> str:
    """Say why nothing goes by a provider now, in its own words where they were about a message of the same service."""
    down, blocked = context.choice.down[provider], context.choice.state.providers.get(provider)
    if down.service_id == claim.service_id:
        return down.words
    match blocked.block if blocked is not None else Block.BROKEN:
        case Block.THROTTLED:
            return f"{provider} takes no more messages for now."
        case Block.CONFIG:
            return f"{provider} is set up wrongly; administrators see what it says on the page Providers."
        case _:
            return f"{provider} does not work for now."


def _waiting(
    claim: Claim, message: Message, context: SendContext, tried: Sequence[Result], waits: Sequence[Wait]
) -> Result | Waiting:
    """Let a message wait without using up a try: while a set-up is wrong for as long as it takes, else for a day."""
    patient = [one for one in tried if one.outcome in _PATIENT]
    until = min([*(_again(one, message, context) for one in patient), *(one.until for one in waits)])
    end = claim.accepted_at + retries.MAX_AGE
    if waits or any(one.outcome is Outcome.CONFIG and one.scope in _WIDER for one in patient):
        why = patient[-1].detail if patient else next((one.why for one in waits), None)
        return Waiting(claim, until, why, tuple(tried))
    if until > end:
        detail = f"{patient[-1].detail} It was tried for a day, until {_told(end)}."
        return _after(tried[:-1], msgspec.structs.replace(patient[-1], outcome=Outcome.PERMANENT, detail=detail))
    told = [_until(one, end) if one.outcome is Outcome.THROTTLED else one for one in tried]
    return Waiting(claim, until, patient[-1].detail, tuple(told))


def _until(result: Result, end: datetime) -> Result:
    """Let an attempt tell beforehand how long it goes on."""
    detail = f"{result.detail.rstrip('.')}. This uses up no try; it is tried until {_told(end)}."
    return msgspec.structs.replace(result, detail=detail)


def _told(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _again(result: Result, message: Message, context: SendContext) -> datetime:
    """Return when what an attempt was refused for may be over."""
    now, age = clock.now(), clock.now() - result.claim.accepted_at
    blocked, far = _blocked(result, message, context), min(age / 4, _FARTHEST_BEHIND)
    # Nor may one message that is refused every time slow its provider down for all the others.
    throttled = result.outcome is Outcome.THROTTLED and result.scope in _WIDER
    behind = far if throttled and context.pacing.was_refused(result.provider, result.claim.id) else timedelta()
    if blocked is not None and blocked.until > now:
        # What one recipient alone refuses must not keep its sender's other mail waiting: it comes back after that.
        narrow = result.scope in {Scope.SENDER, Scope.DOMAIN}
        return max(blocked.until, now + (far if narrow else behind))
    if result.outcome is Outcome.CONFIG:
        return now + timedelta(seconds=LONGEST[Block.CONFIG])
    if result.scope in _WIDER:
        return now + max(_SOON, behind)
    first = timedelta(seconds=max(settings.current().retry_base_seconds, result.retry_after or 0.0))
    return now + max(first, min(age / 2, _LONGEST_WAIT))


def _blocked(result: Result, message: Message, context: SendContext) -> BlockState | None:
    """Return what holds back the scope of a refusal."""
    state = context.choice.state
    provider = next(one for one in context.choice.providers if one.name == result.provider)
    destination = routes.of_address(provider, message.address) or routes.of_scope(result.scope, message)
    if destination:
        return state.blocked(result.provider, destination)
    return state.blocked(result.provider) if result.scope in WHOLE_ROUTE else None


def _after(earlier: Sequence[Result], answer: Result) -> Result:
    """Let an answer tell of the providers that were tried before it came."""
    return msgspec.structs.replace(answer, earlier=tuple(earlier)) if earlier else answer
