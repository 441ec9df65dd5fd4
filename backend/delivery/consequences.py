"""What an answer means for the messages to come: who is held back, slowed down, or well again.

All of it follows from the outcome and the scope of a refusal, and concerns that scope alone.
"""

from contextlib import suppress
from datetime import timedelta

from backend.channels.base import WHOLE_ROUTE, Message, Outcome, Provider, Scope
from backend.db import session as db
from backend.delivery import places, providers
from backend.delivery.choice import Down
from backend.delivery.passage import Passage
from backend.delivery.providers import Block, Held
from backend.delivery.record import Result
from backend.lib import clock
from backend.lib.outages import OUTAGES

_BLOCKS = {Outcome.THROTTLED: Block.THROTTLED, Outcome.CONFIG: Block.CONFIG}


def follow_up(result: Result, message: Message, provider: Provider, passage: Passage, begun: float) -> None:
    """Hold back or slow down what is at fault, or note that it is well; ``begun`` is of ``clock.elapsed``.

    What the database does not take of it is found out again; the attempt itself must not be forgotten for that.
    """
    outcome, choice = result.outcome, passage.choice
    if places.is_way(message.address):
        _follow_up_address(result, message, provider, passage)
        return
    accepted = outcome is Outcome.ACCEPTED
    whole = not accepted and result.scope in WHOLE_ROUTE
    fault = (whole and outcome is not Outcome.THROTTLED) or outcome is Outcome.AMBIGUOUS
    failing = passage.tally.note(provider.name, accepted=accepted, fault=fault)
    if outcome is Outcome.THROTTLED:
        _slow_down(result, message, provider, passage, begun)
        if not whole:
            _recovered(provider, passage)  # it answers
    elif outcome is Outcome.CONFIG and (whole or places.of_scope(result.scope, message)):
        _hold(result, message, provider, places.of_scope(result.scope, message), passage)
    elif failing or (fault and choice.trial == provider.name):
        _hold(result, message, provider, "", passage)
    elif not fault:
        _recovered(provider, passage)
    if accepted:
        _well(message, provider, passage)
    elif whole and outcome is not Outcome.THROTTLED:
        choice.down.setdefault(provider.name, Down(result.claim.service_id, result.detail))


def is_apart(message: Message, provider: Provider, passage: Passage) -> bool:
    """Tell whether the sender or the domain of a message is, or was until now, held back or slowed down."""
    held = passage.choice.state.places
    if not held and not passage.rates.of_places:
        return False
    keys = [(provider.name, place) for place in places.of_message(message)]
    return any(key in held or passage.rates.knows(key) for key in keys)


def _recovered(provider: Provider, passage: Passage) -> None:
    """Forget the faults of a provider."""
    state = passage.choice.state
    if state.faults(provider.name):
        state.providers.pop(provider.name)
        with suppress(*OUTAGES), db.current().write() as session:
            providers.recovered(session, provider.name, "")


def _slow_down(result: Result, message: Message, provider: Provider, passage: Passage, begun: float) -> None:
    """Lower the rate of what was refused as too much, or hold it back for as long as it says.

    A recipient that takes no more for now concerns nobody else, unless it has a pace.
    """
    own = places.of_address(provider, message.address)
    if result.scope in {Scope.RECIPIENT, Scope.MESSAGE} and not own:
        return
    place = own or places.of_scope(result.scope, message)
    if result.retry_after is not None or own:
        _hold(result, message, provider, place, passage)
    else:
        key = (provider.name, place) if place else provider.name
        seconds = passage.rates.refused(provider.name, key, begun)
        if seconds is None:
            return
        _hold(result, message, provider, place, passage, seconds)
    if not place:
        passage.choice.down.setdefault(provider.name, Down(result.claim.service_id, result.detail))


def _well(message: Message, provider: Provider, passage: Passage) -> None:
    """Note that a message was taken, from its sender and to its domain."""
    held = passage.choice.state.places
    if not held and not passage.rates.of_places:
        passage.rates.accepted(provider.name)
        return
    keys = [(provider.name, place) for place in places.of_message(message)]
    passage.rates.accepted(provider.name, *keys)
    for key in keys:
        if held.pop(key, None) is not None:
            with suppress(*OUTAGES), db.current().write() as session:
                providers.recovered(session, *key)


def _follow_up_address(result: Result, message: Message, provider: Provider, passage: Passage) -> None:
    """What is wrong with an address that is itself the way is not wrong with the provider of the others."""
    place = places.of_address(provider, message.address)
    ended = result.outcome in {Outcome.ACCEPTED, Outcome.PERMANENT}
    passage.tally.note(provider.name, accepted=result.outcome is Outcome.ACCEPTED, fault=False)
    if not ended:
        _hold(result, message, provider, place, passage)
        return
    passage.choice.state.places.pop((provider.name, place), None)
    with suppress(*OUTAGES), db.current().write() as session:
        providers.recovered(session, provider.name, place)


def _hold(  # noqa: PLR0913, PLR0917 - what came of which message, and who is held back for how long
    result: Result,
    message: Message,
    provider: Provider,
    place: str,
    passage: Passage,
    seconds: float | None = None,
) -> None:
    """Hold a provider, or one of its places, back; several faults in one burst are one."""
    state, now = passage.choice.state, clock.now()
    why = _BLOCKS.get(result.outcome, Block.BROKEN)
    before = state.held(provider.name, place)
    seen = before.faults if before else 0
    until = now + timedelta(seconds=providers.pause(why, seen, seconds or result.retry_after))
    if before is not None and before.block == why and before.until > now:
        if result.retry_after is None or before.until >= until:
            return
        seen = max(seen - 1, 0)
    held = Held(why.value, until, places.titled(place, message, result.detail), seen + 1, off=False)
    with suppress(*OUTAGES), db.current().write() as session:
        providers.block(session, provider, place, held, seen=seen)
    if place:
        state.places[provider.name, place] = held
    else:
        state.providers[provider.name] = held
