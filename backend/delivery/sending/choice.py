"""Which provider a group of messages goes by: the preferred one while it is well, the others as it is not."""

import random
from collections.abc import Sequence

import msgspec
from sqlalchemy.orm import Session

from backend.channels.base import Channel, Provider
from backend.delivery.providers import blocks, health, routes
from backend.delivery.providers.blocks import State
from backend.lib import clock


class Down(msgspec.Struct, frozen=True):
    """Why a provider takes nothing now, in its words about a message of a service: others are not shown them."""

    service_id: int
    words: str


class Choice(msgspec.Struct):
    """The providers that a group may go by, the first choice first; none means the outbox.

    ``trial`` names the first of them if it had faults and is only tried again, with one message. ``down`` collects
    those that could not be reached meanwhile, with the reason, so that the rest of the group need not wait for them.
    """

    providers: list[Provider]
    state: State
    trial: str | None = None
    down: dict[str, Down] = {}

    def without_trial(self) -> "Choice":
        """Leave the one to be tried to somebody else."""
        return Choice([one for one in self.providers if one.name != self.trial], self.state)


def choose(session: Session, channel: Channel) -> Choice | None:
    """Choose for the next group of a channel; ``None`` when nothing can go by any of its providers now."""
    configured = routes.routes()[channel]
    state = blocks.read(session, channel) if configured else State(clock.now(), {}, {})
    tried = next((one for one in configured if state.wants_trial(one.name)), None)
    ready = [one for one in configured if state.is_open(one.name)]
    if tried is not None:
        return Choice([tried, *_in_order(ready)], state, trial=tried.name)
    return Choice(_in_order(ready), state) if ready or not configured else None


def _in_order(ready: Sequence[Provider]) -> list[Provider]:
    """Put one first by chance and weight; the others follow in order of preference."""
    if len(ready) < 2:
        return list(ready)
    found = health.recent.get()
    weights = health.weights(found.get(one.name, health.Health()) for one in ready)
    first = random.choices(ready, weights)[0]  # noqa: S311 - no secret depends on it
    return [first, *(one for one in ready if one is not first)]
