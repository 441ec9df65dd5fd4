"""What dispatching a group needs, from the claims in it to what this process remembers of providers."""

import random
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count

import msgspec
from sqlalchemy.orm import Session

from backend.channels.base import Channel, Provider
from backend.channels.smtp_capacity import Busy
from backend.db.leases import Lease
from backend.delivery.outcomes.record import Result
from backend.delivery.providers import health, routes
from backend.delivery.providers.health import State, Tally
from backend.delivery.providers.rates import Rates
from backend.delivery.providers.routes import Connections
from backend.delivery.queueing.claims import Group
from backend.delivery.queueing.pacing import PacingQueues
from backend.lib import clock

# A thread claims what it can send within so many seconds, and what is left after a while longer goes back.
SHARE_SECONDS = 0.5
LONGEST_SECONDS = 2.0
_FIRST = 4  # so many it claims while nothing is known
_NEWEST = 0.5  # part of the newest time in what is known


# Which provider a group of messages goes by: the preferred one while it is well, the others as it is not.


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
    state = health.read(session, channel) if configured else State(clock.now(), {}, {})
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


# The semaphore of a pool: few groups are dispatched at a time, while others are claimed, rendered and recorded.
#
# So a database or a child process that is waited for does not keep a provider waiting.


class PrioritySemaphore:
    """Lets ``width`` threads dispatch at a time, and keeps a set of open connections for each of them.

    Of those who wait, the most urgent are let in first: those with the smallest ``priority``, and of these who came
    first.
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._condition = threading.Condition()
        self._inside: dict[int, Connections] = {}
        self._waiting: list[tuple[int, int]] = []
        self._numbers = count()
        self._free: list[Connections] = []

    @contextmanager
    def acquired(self, priority: int) -> Iterator["Slot"]:
        """Wait for a slot and give it."""
        thread = threading.get_ident()
        with self._condition:
            number = next(self._numbers)
            slot = Slot(self, number, self._enter(thread, (priority, number)))
        try:
            yield slot
        finally:
            with self._condition:
                has_slot = self._leave(thread)
            if not has_slot:
                slot.connections.close()

    def yield_slot(self, priority: int, number: int) -> Connections | None:
        """Let in who is more urgent, and come back; None where nobody is."""
        thread = threading.get_ident()
        with self._condition:
            if thread in self._inside and self._waiting and min(self._waiting)[0] < priority:
                self._leave(thread)
                return self._enter(thread, (priority, number))
        return None

    def reassign(self, thread: int) -> None:
        """Give the slot of a thread that hangs to another one, which takes connections of its own."""
        with self._condition:
            if self._inside.pop(thread, None) is not None:
                self._condition.notify_all()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._condition:
            free, self._free = self._free, []
        for connections in free:
            connections.close()

    def _enter(self, thread: int, rank: tuple[int, int]) -> Connections:
        self._waiting.append(rank)
        self._condition.wait_for(lambda: len(self._inside) < self._width and rank == min(self._waiting))
        self._waiting.remove(rank)
        if self._waiting:
            self._condition.notify_all()  # one may have waited for us alone
        mine = self._inside[thread] = self._free.pop() if self._free else Connections()
        return mine

    def _leave(self, thread: int) -> bool:
        """Leave the connections behind; tell whether the thread had its slot still."""
        mine = self._inside.pop(thread, None)
        if mine is not None:
            self._free.append(mine)
            self._condition.notify_all()
        return mine is not None


class Slot:
    """One thread's slot of a semaphore, with its number there, and the connections that go with it now."""

    def __init__(self, semaphore: PrioritySemaphore, number: int, connections: Connections) -> None:
        self._semaphore = semaphore
        self._number = number
        self.connections = connections

    def yield_slot(self, priority: int) -> None:
        """Let in who is more urgent than what this thread dispatches next, and come back."""
        self.connections = self._semaphore.yield_slot(priority, self._number) or self.connections


# For those who send in their own thread, as many as they are.
UNLIMITED = PrioritySemaphore(sys.maxsize)


# How quickly the messages of each channel go out, by which a thread claims as many as it can send in a moment.
#
# Who claims more than that keeps them from the other threads, and from the workers of other processes: by a provider
# that takes a tenth of a second for each message, 200 took six times as long
# (``python -m tests.benchmarks.devices speeds``).


class Speeds:
    """Remembers for this process how long a message of each channel takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[Channel, float] = {}

    def note(self, channel: Channel, messages: int, seconds: float) -> None:
        """Learn that a thread has dealt with so many messages in ``seconds``."""
        if not messages:
            return
        with self._lock:
            newest = seconds / messages
            before = self._seconds.get(channel, newest)
            # What is quick again after an outage is believed at once; what was slow once may have been chance.
            self._seconds[channel] = min(newest, before + _NEWEST * (newest - before))

    def share(self, channel: Channel, least: int, most: int) -> int:
        """Return how many a thread should claim that has ``least`` under way at once."""
        with self._lock:
            known = self._seconds.get(channel)
        if known is None:
            return min(_FIRST * least, most)
        return max(least, min(most, int(SHARE_SECONDS / known) if known > SHARE_SECONDS / most else most))


class SendContext(msgspec.Struct):
    """What dispatching a group needs: its claims, the choice made for it, and what this process remembers.

    ``unfinished`` holds, by delivery, what came of an attempt together with others that does not end it, and
    ``deferred`` until when those wait for which there was no room in it. ``counted`` is the provider in whose rate the
    messages are counted that may leave now, and ``full`` says which providers had no room for one of them.
    """

    group: Group
    choice: Choice
    slot: Slot
    tally: Tally
    rates: Rates
    pacing: PacingQueues
    lease: Lease
    unfinished: dict[int, Result] = {}
    deferred: dict[int, datetime] = {}
    counted: str | None = None
    full: dict[str, Busy] = {}

    @property
    def connections(self) -> Connections:
        """Return the connections that may be used now."""
        return self.slot.connections
