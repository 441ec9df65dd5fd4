"""A few threads that do one kind of work whenever they are woken, until nothing is left of it."""

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
from backend.delivery.providers import health, routes
from backend.delivery.providers.health import Block, BlockState
from backend.delivery.queueing import fairness
from backend.delivery.queueing.claims import Attempt, Group
from backend.delivery.sending.send import CHUNK, Sender
from backend.delivery.sending.send_context import PrioritySemaphore
from backend.lib import clock
from backend.lib.outages import OUTAGES

logger = logging.getLogger(__name__)
_AFTER_FAULT_SECONDS = 1.0
# From then on a thread that waits for an answer does not count as one that works.
STUCK_SECONDS = 15.0
_MOST_STUCK = 16
_WATCH_SECONDS = 1.0
# So many threads of a pool may be kept by slow templates; the others go on without them.
_SLOW = 2


class WorkerPool:
    """Up to ``size`` threads, started as they are needed.

    ``work`` does a part of what is there and returns how much that was; it is given what wakes another thread, for
    when it sees that there is more. A thread that is stuck in its work does not count, until it comes back and finds
    its slot taken.
    """

    def __init__(
        self, name: str, size: int, work: Callable[[Callable[[], None]], int], leave: Callable[[], None]
    ) -> None:
        self._name, self._size, self._work, self._leave = name, size, work, leave
        self._condition = threading.Condition()
        self._stopping = threading.Event()
        self._threads: dict[int, threading.Thread] = {}
        self._stuck: set[int] = set()
        self._idle = 0
        self._calls = 0

    def wake(self) -> None:
        """Have a thread look for work; calls that nobody has answered yet are not lost."""
        with self._condition:
            self._calls = min(self._calls + 1, self._size)
            if self._idle:
                self._condition.notify()
            elif len(self._threads) - len(self._stuck) < self._size and not self._stopping.is_set():
                # A daemon, so that one that hangs does not keep the process from ending.
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._threads[thread.ident or 0] = thread

    def relieve(self, thread: int, most: int) -> bool:
        """Let another thread stand in for one of this pool, if at most ``most`` are stuck; tell whether it does."""
        with self._condition:
            mine = thread in self._threads and thread not in self._stuck
            if not mine or len(self._stuck) >= most:
                return False
            self._stuck.add(thread)
        self.wake()
        return True

    def stop(self) -> list[threading.Thread]:
        """Ask the threads to end; return those that have not ended yet."""
        with self._condition:
            self._stopping.set()
            self._condition.notify_all()
            return list(self._threads.values())

    def _run(self) -> None:
        try:
            while self._called():
                self._drain()
        finally:
            with self._condition:
                self._threads.pop(threading.get_ident(), None)
            self._leave()

    def _called(self) -> bool:
        """Wait for a call; tell whether this thread is to answer it, or to end."""
        with self._condition:
            self._stuck.discard(threading.get_ident())
            if len(self._threads) - len(self._stuck) > self._size:
                return False
            while not self._calls and not self._stopping.is_set():
                self._idle += 1
                self._condition.wait()
                self._idle -= 1
            self._calls = max(self._calls - 1, 0)
            return not self._stopping.is_set()

    def _drain(self) -> None:
        try:
            while not self._stopping.is_set() and threading.get_ident() not in self._stuck:
                if not self._work(self.wake):
                    return
        except Exception:
            # Whatever it was, most likely the database: what is due stays due, and the next tick wakes us again.
            logger.exception("A thread for %s was interrupted", self._name)
            self._stopping.wait(_AFTER_FAULT_SECONDS)


# The pools of a worker: each channel has its own threads, so that one that is slow or down holds up no other.
#
# A thread that has waited long for one answer keeps only the message it is about: the rest of its claims go back, and
# another thread takes its place. How many may wait like that is bounded, for such a provider is soon left alone.


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
        own_way = routes.is_own_route(attempt.claim.address)
        if not own_way and self.sender.tally.note(provider.name, accepted=False, fault=True):
            reason = f"it has not answered for {STUCK_SECONDS:.0f} seconds, several times"
            until = clock.now() + timedelta(seconds=health.pause(Block.BROKEN, 0))
            blocked = BlockState(Block.BROKEN.value, until, reason, 1, off=False)
            with db.current().transaction() as session:
                health.block(session, provider, "", blocked, seen=0)
        for key, pool in self._pools.items():
            if pool.relieve(group.thread, _MOST_STUCK):
                self._semaphores[key].reassign(group.thread)


def _patience(attempt: Attempt) -> float:
    """Return after how many seconds an answer is late; files take theirs to be sent."""
    return STUCK_SECONDS + more_seconds(attempt.claim.attached_bytes)
