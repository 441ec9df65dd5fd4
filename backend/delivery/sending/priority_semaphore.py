"""The semaphore of a pool: few groups are dispatched at a time, while others are claimed, rendered and recorded.

So a database or a child process that is waited for does not keep a provider waiting.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from backend.delivery.providers.routes import Connections


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
