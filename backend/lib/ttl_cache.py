"""Figures that cost something to find: found again when they are old, and never often enough to be a burden.

Without it delivering takes seven to eight times as much of the processor
(``python -m tests.benchmarks.devices figures``).
"""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from backend.lib import clock

Figure = TypeVar("Figure")
# Finding a figure may take this part of the time of one thread.
_SHARE = 0.05


class TtlCache(Generic[Figure]):
    """Keeps what ``find`` returned for ``seconds``, or for twenty times as long as it took, whichever is longer.

    Of several threads that ask for it one finds it, while the others wait.
    """

    def __init__(self, find: Callable[[], Figure], *, seconds: float) -> None:
        self._find = find
        self._least = seconds
        self._lock = threading.Lock()
        self._until: datetime | None = None
        self._since: datetime | None = None
        self._figure: Figure

    def get(self) -> Figure:
        """Return the figure, at most so old; a clock that was set back makes it old too."""
        with self._lock:
            now = clock.now()
            if self._until is None or self._since is None or not self._since <= now < self._until:
                began = time.perf_counter()
                self._figure = self._find()
                took = time.perf_counter() - began
                self._since, self._until = now, now + timedelta(seconds=max(self._least, took / _SHARE))
            return self._figure

    def clear(self) -> None:
        """Find it anew at the next call."""
        with self._lock:
            self._until = None
