"""The lanes of a worker: each channel has its own threads, so that one that is slow or down holds up no other.

A thread that has waited long for one answer keeps only the message it is about: the rest of its claims go back, and
another thread takes its place. How many may wait like that is bounded, for such a provider is soon left alone.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection
from datetime import timedelta
from functools import partial
from itertools import product

from backend.channels.attachments import more_seconds
from backend.channels.base import Bursting, Channel
from backend.db import session as db
from backend.db.models.notifications import Priority
from backend.delivery import places, providers, routes, turns
from backend.delivery.crew import Crew
from backend.delivery.gate import Gate
from backend.delivery.group import Attempt, Group
from backend.delivery.providers import Block, Held
from backend.delivery.send import CHUNK, Hand
from backend.lib import clock
from backend.lib.outages import OUTAGES

logger = logging.getLogger(__name__)

# From then on a thread that waits for an answer does not count as one that works.
STUCK_SECONDS = 15.0
_MOST_STUCK = 16
_WATCH_SECONDS = 1.0
# So many threads of a lane may be kept by slow templates; the others go on without them.
_SLOW = 2


def _burst(channel: Channel) -> int:
    """Return how many messages one thread can have under way at once; 0 where each goes by itself."""
    bursts = [one.burst for provider in routes.routes()[channel] if isinstance(one := provider.open(), Bursting)]
    return max(bursts, default=0)


def _threads(burst: int, size: int) -> tuple[int, int]:
    """Return how many threads it takes to have ``size`` messages under way, and how many more to keep them busy.

    One of them is left when slow templates have all that they may have.

    Where one thread has several messages under way it would have none while it claims, renders and records. Where
    each has one, the others go on meanwhile.
    """
    return -(-size // max(burst, 1)), _SLOW if burst else 0


class Lanes:
    """The threads of every channel.

    Of each channel ``size`` messages of any priority are under way at once, HIGH first; one more thread is for HIGH
    alone.
    """

    def __init__(self, hand: Hand, size: int) -> None:
        self.hand = hand
        self._gates: dict[tuple[Channel, bool], Gate] = {}
        self._crews: dict[tuple[Channel, bool], Crew] = {}
        for channel, high_only in product(Channel, (False, True)):
            name = f"{'high' if high_only else 'send'}-{channel.value.lower()}"
            burst = _burst(channel)
            width, more = (1, _SLOW) if high_only else _threads(burst, size)
            gate = self._gates[channel, high_only] = Gate(width)
            work = partial(self._send, channel, burst, gate, high_only)
            self._crews[channel, high_only] = Crew(name, width + more, work, gate.close)
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._look_after, name="lanes", daemon=True)
        self._watch.start()

    def wake(self, channels: Collection[Channel] = (), *, high_only: bool) -> None:
        """Have these channels looked after, or those with something due if none is named: HIGH alone, or anything."""
        for channel in channels or self._due(high_only=high_only):
            self._crews[channel, high_only].wake()

    def look(self) -> None:
        """Relieve the threads that have waited for an answer for too long."""
        for group in self.hand.groups():
            attempt = group.attempt
            if attempt is not None and group.waited() > _patience(attempt) and group.given_up is not attempt:
                group.given_up = attempt
                self._relieve(group, attempt)

    def stop(self, seconds: float) -> None:
        """End all threads within so many seconds; what still waits for an answer then is left to those who repair."""
        end = time.monotonic() + seconds
        self._stopping.set()
        waiting = [thread for crew in self._crews.values() for thread in crew.stop()]
        for thread in [*waiting, self._watch]:
            thread.join(max(0.0, end - time.monotonic()))
        try:
            self.hand.write_down()
        except OUTAGES:
            logger.warning("What was sent last could not be written down; it may go again", exc_info=True)

    def _send(self, channel: Channel, burst: int, gate: Gate, high_only: bool, more: Callable[[], None]) -> int:
        """Send as many as a thread should claim at a time."""
        limit = self.hand.speeds.share(channel, max(burst, 1), CHUNK)
        return self.hand.send_from(channel, more, gate=gate, high_only=high_only, limit=limit)

    def _due(self, *, high_only: bool) -> list[Channel]:
        with db.current().look() as session:
            return turns.waiting(session, {Priority.HIGH} if high_only else set(Priority))

    def _look_after(self) -> None:
        while not self._stopping.wait(_WATCH_SECONDS):
            try:
                self.look()
            except OUTAGES:
                logger.warning("A thread that waits could not be relieved of its claims", exc_info=True)

    def _relieve(self, group: Group, attempt: Attempt) -> None:
        self.hand.release(group.take_rest())
        provider = attempt.provider
        own_way = places.is_way(attempt.claim.address)
        if not own_way and self.hand.tally.note(provider.name, accepted=False, fault=True):
            reason = f"it has not answered for {STUCK_SECONDS:.0f} seconds, several times"
            until = clock.now() + timedelta(seconds=providers.pause(Block.BROKEN, 0))
            held = Held(Block.BROKEN.value, until, reason, 1, off=False)
            with db.current().write() as session:
                providers.block(session, provider, "", held, seen=0)
        for lane, crew in self._crews.items():
            if crew.relieve(group.thread, _MOST_STUCK):
                self._gates[lane].give_away(group.thread)


def _patience(attempt: Attempt) -> float:
    """Return after how many seconds an answer is late; files take theirs to be sent."""
    return STUCK_SECONDS + more_seconds(attempt.claim.attached_bytes)
