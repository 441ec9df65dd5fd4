"""The pools of a worker: each channel has its own threads, so that one that is slow or down holds up no other.

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
from backend.db import database as db
from backend.db.models.notifications import Priority
from backend.delivery.providers import blocks, destinations, routes
from backend.delivery.providers.blocks import Block, BlockState
from backend.delivery.queueing import fairness
from backend.delivery.queueing.group import Attempt, Group
from backend.delivery.sending.priority_semaphore import PrioritySemaphore
from backend.delivery.sending.send import CHUNK, Sender
from backend.delivery.sending.worker_pool import WorkerPool
from backend.lib import clock
from backend.lib.outages import OUTAGES

logger = logging.getLogger(__name__)

# From then on a thread that waits for an answer does not count as one that works.
STUCK_SECONDS = 15.0
_MOST_STUCK = 16
_WATCH_SECONDS = 1.0
# So many threads of a pool may be kept by slow templates; the others go on without them.
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


class ChannelPools:
    """The threads of every channel.

    Of each channel ``size`` messages of any priority are under way at once, HIGH first; one more thread is for HIGH
    alone.
    """

    def __init__(self, sender: Sender, size: int) -> None:
        self.sender = sender
        self._semaphores: dict[tuple[Channel, bool], PrioritySemaphore] = {}
        self._pools: dict[tuple[Channel, bool], WorkerPool] = {}
        for channel, high_only in product(Channel, (False, True)):
            name = f"{'high' if high_only else 'send'}-{channel.value.lower()}"
            burst = _burst(channel)
            width, more = (1, _SLOW) if high_only else _threads(burst, size)
            semaphore = self._semaphores[channel, high_only] = PrioritySemaphore(width)
            work = partial(self._send, channel, burst, semaphore, high_only)
            self._pools[channel, high_only] = WorkerPool(name, width + more, work, semaphore.close)
        self._stopping = threading.Event()
        self._watch = threading.Thread(target=self._look_after, name="pools", daemon=True)
        self._watch.start()

    def wake(self, channels: Collection[Channel] = (), *, high_only: bool) -> None:
        """Have these channels looked after, or those with something due if none is named: HIGH alone, or anything."""
        for channel in channels or self._due(high_only=high_only):
            self._pools[channel, high_only].wake()

    def look(self) -> None:
        """Relieve the threads that have waited for an answer for too long."""
        for group in self.sender.groups():
            attempt = group.attempt
            if attempt is not None and group.waited() > _patience(attempt) and group.given_up is not attempt:
                group.given_up = attempt
                self._relieve(group, attempt)

    def stop(self, seconds: float) -> None:
        """End all threads within so many seconds; what still waits for an answer then is left to those who repair."""
        end = time.monotonic() + seconds
        self._stopping.set()
        waiting = [thread for pool in self._pools.values() for thread in pool.stop()]
        for thread in [*waiting, self._watch]:
            thread.join(max(0.0, end - time.monotonic()))
        try:
            self.sender.write_down()
        except OUTAGES:
            logger.warning("What was sent last could not be written down; it may go again", exc_info=True)

    def _send(
        self, channel: Channel, burst: int, semaphore: PrioritySemaphore, high_only: bool, more: Callable[[], None]
    ) -> int:
        """Send as many as a thread should claim at a time."""
        limit = self.sender.speeds.share(channel, max(burst, 1), CHUNK)
        return self.sender.send_from(channel, more, semaphore=semaphore, high_only=high_only, limit=limit)

    def _due(self, *, high_only: bool) -> list[Channel]:
        with db.current().autocommit() as session:
            return fairness.waiting(session, {Priority.HIGH} if high_only else set(Priority))

    def _look_after(self) -> None:
        while not self._stopping.wait(_WATCH_SECONDS):
            try:
                self.look()
            except OUTAGES:
                logger.warning("A thread that waits could not be relieved of its claims", exc_info=True)

    def _relieve(self, group: Group, attempt: Attempt) -> None:
        self.sender.release(group.take_rest())
        provider = attempt.provider
        own_way = destinations.is_own_route(attempt.claim.address)
        if not own_way and self.sender.tally.note(provider.name, accepted=False, fault=True):
            reason = f"it has not answered for {STUCK_SECONDS:.0f} seconds, several times"
            until = clock.now() + timedelta(seconds=blocks.pause(Block.BROKEN, 0))
            blocked = BlockState(Block.BROKEN.value, until, reason, 1, off=False)
            with db.current().transaction() as session:
                blocks.block(session, provider, "", blocked, seen=0)
        for key, pool in self._pools.items():
            if pool.relieve(group.thread, _MOST_STUCK):
                self._semaphores[key].reassign(group.thread)


def _patience(attempt: Attempt) -> float:
    """Return after how many seconds an answer is late; files take theirs to be sent."""
    return STUCK_SECONDS + more_seconds(attempt.claim.attached_bytes)
