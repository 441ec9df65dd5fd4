"""The gate of a lane: few groups are handed over at a time, while others are claimed, rendered and recorded.

So a database or a child process that is waited for does not keep a provider waiting.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from backend.delivery.routes import Connections


class Gate:
    """Lets ``width`` threads hand over at a time, and keeps a set of open connections for each of them."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._turn = threading.Condition()
        self._inside: dict[int, Connections] = {}
        self._free: list[Connections] = []

    @contextmanager
    def passed(self) -> Iterator[Connections]:
        """Wait for a place; give the connections that go with it."""
        thread = threading.get_ident()
        with self._turn:
            self._turn.wait_for(lambda: len(self._inside) < self._width)
            mine = self._inside[thread] = self._free.pop() if self._free else Connections()
        try:
            yield mine
        finally:
            with self._turn:
                has_place = self._inside.pop(thread, None) is not None
                if has_place:
                    self._free.append(mine)
                    self._turn.notify()
            if not has_place:
                mine.close()

    def give_away(self, thread: int) -> None:
        """Give the place of a thread that hangs to another one, which takes connections of its own."""
        with self._turn:
            if self._inside.pop(thread, None) is not None:
                self._turn.notify()

    def close(self) -> None:
        """Close the connections that nobody uses."""
        with self._turn:
            free, self._free = self._free, []
        for connections in free:
            connections.close()


# For those who send in their own thread, as many as they are.
OPEN = Gate(sys.maxsize)
