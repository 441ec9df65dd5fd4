"""What an answer means for the messages to come: who is held back, slowed down, or well again.

All of it follows from the outcome and the scope of a refusal, and concerns that scope alone.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from backend.channels.base import WHOLE_ROUTE, Message, Outcome, Provider, Scope
from backend.db import database as db
from backend.delivery.outcomes.record import Result
from backend.delivery.providers import blocks, destinations
from backend.delivery.providers.blocks import Block, BlockState
from backend.delivery.sending.choice import Down
from backend.delivery.sending.send_context import SendContext
from backend.lib import clock
from backend.lib.outages import OUTAGES

_BLOCKS = {Outcome.THROTTLED: Block.THROTTLED, Outcome.CONFIG: Block.CONFIG}


def follow_up(result: Result, message: Message, provider: Provider, context: SendContext, begun: float) -> None:
    """Hold back or slow down what is at fault, or note that it is well; ``begun`` is of ``clock.elapsed``.

    What the database does not take of it is found out again; the attempt itself must not be forgotten for that.
    """
    outcome, choice = result.outcome, context.choice
    if destinations.is_own_route(message.address):
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
    elif outcome is Outcome.CONFIG and (whole or destinations.of_scope(result.scope, message)):
        _block(result, message, provider, destinations.of_scope(result.scope, message), context)
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
    keys = [(provider.name, destination) for destination in destinations.of_message(message)]
    return any(key in blocked or context.rates.knows(key) for key in keys)


def _recovered(provider: Provider, context: SendContext) -> None:
    """Forget the faults of a provider."""
    state = context.choice.state
    if state.faults(provider.name):
        state.providers.pop(provider.name)
        with suppress(*OUTAGES), db.current().transaction() as session:
            blocks.recovered(session, provider.name, "")


def _slow_down(result: Result, message: Message, provider: Provider, context: SendContext, begun: float) -> None:
    """Lower the rate of what was refused as too much, or hold it back for as long as it says.

    A recipient that takes no more for now concerns nobody else, unless it has an interval.
    """
    own = destinations.of_address(provider, message.address)
    if result.scope in {Scope.RECIPIENT, Scope.MESSAGE} and not own:
        return
    destination = own or destinations.of_scope(result.scope, message)
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
    keys = [(provider.name, destination) for destination in destinations.of_message(message)]
    context.rates.accepted(provider.name, *keys)
    for key in keys:
        if blocked.pop(key, None) is not None:
            with suppress(*OUTAGES), db.current().transaction() as session:
                blocks.recovered(session, *key)


def _follow_up_address(result: Result, message: Message, provider: Provider, context: SendContext) -> None:
    """What is wrong with an address that is itself the way is not wrong with the provider of the others."""
    destination = destinations.of_address(provider, message.address)
    ended = result.outcome in {Outcome.ACCEPTED, Outcome.PERMANENT}
    context.tally.note(provider.name, accepted=result.outcome is Outcome.ACCEPTED, fault=False)
    if not ended:
        _block(result, message, provider, destination, context)
        return
    context.choice.state.destinations.pop((provider.name, destination), None)
    with suppress(*OUTAGES), db.current().transaction() as session:
        blocks.recovered(session, provider.name, destination)


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
    until = now + timedelta(seconds=blocks.pause(why, seen, seconds or result.retry_after))
    if before is not None and before.block == why and before.until > now:
        if result.retry_after is None or before.until >= until:
            return
        seen = max(seen - 1, 0)
    blocked = BlockState(
        why.value, until, destinations.titled(destination, message, result.detail), seen + 1, off=False
    )
    with suppress(*OUTAGES), db.current().transaction() as session:
        blocks.block(session, provider, destination, blocked, seen=seen)
    if destination:
        state.destinations[provider.name, destination] = blocked
    else:
        state.providers[provider.name] = blocked
