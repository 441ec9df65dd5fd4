"""Nudges of a process that accepts many groups a second, given by a thread of its own: nobody waits for them."""

import threading
from collections.abc import Callable

from backend.db.models.notifications import Priority
from backend.delivery import tasks

# Between two nudges for what is not HIGH: a worker that was woken takes hundreds with it.
_REST_SECONDS = 0.02


class Bell:
    """Gathers the priorities that have something new while a nudge is given, for the next one.

    The first is given at once, and HIGH never waits for more than the one that is under way. What a process that is
    killed has not given, repair finds, as every nudge that is lost.
    """

    def __init__(self, nudge: Callable[[set[int]], None] = tasks.nudge) -> None:
        self._nudge = nudge
        self._news = threading.Condition()
        self._waiting: set[int] = set()
        self._thread: threading.Thread | None = None

    def ring(self, priorities: set[int]) -> None:
        """Wake workers for new deliveries of these priorities, soon."""
        with self._news:
            self._waiting |= priorities
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
            self._news.notify()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting)
                waiting, self._waiting = self._waiting, set()
            self._nudge(waiting)
            with self._news:
                self._news.wait_for(lambda: Priority.HIGH.value in self._waiting, _REST_SECONDS)
