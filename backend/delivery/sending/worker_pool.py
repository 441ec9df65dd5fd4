"""A few threads that do one kind of work whenever they are woken, until nothing is left of it."""

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

_AFTER_FAULT_SECONDS = 1.0


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
