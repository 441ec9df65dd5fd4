"""Nudges of a process that accepts many groups a second, given by a thread of its own: nobody waits for them."""

import threading
from collections.abc import Callable

from backend.db.models.notifications import Priority
from backend.delivery import tasks
from backend.delivery.tasks import New

# Between two nudges for what is not HIGH: a worker that was woken takes hundreds with it.
_REST_SECONDS = 0.02


class Bell:
    """Gathers what is new while a nudge is given, for the next one.

    The first is given at once, and HIGH never waits for more than the one that is under way. What a process that is
    killed has not given, repair finds, as every nudge that is lost.
    """

    def __init__(self, nudge: Callable[[New], None] = tasks.nudge) -> None:
        self._nudge = nudge
        self._news = threading.Condition()
        self._waiting: dict[int, set[str]] = {}
        self._thread: threading.Thread | None = None

    def ring(self, new: New) -> None:
        """Wake workers for new deliveries, soon."""
        with self._news:
            for priority, channels in new.items():
                self._waiting.setdefault(priority, set()).update(channels)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
            self._news.notify()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting)
                waiting, self._waiting = self._waiting, {}
            self._nudge(waiting)
            with self._news:
                self._news.wait_for(lambda: Priority.HIGH.value in self._waiting, _REST_SECONDS)
