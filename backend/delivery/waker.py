"""Wake-ups by a process that accepts many groups a second, given by a thread of its own: nobody waits for them.

For speed alone: without it HIGH takes 38 % longer to be sent on SQLite, and 12 % longer on PostgreSQL
(``python -m tests.benchmarks.devices waker``).
"""

import threading
from collections.abc import Callable

from backend.db.models.notifications import Priority
from backend.delivery import tasks
from backend.delivery.tasks import New

# Between two wake-ups for what is not HIGH: a worker that was woken takes hundreds with it.
_REST_SECONDS = 0.02


class Waker:
    """Gathers what is new while a wake-up is given, for the next one.

    The first is given at once, and HIGH never waits for more than the one that is under way. What a process that is
    killed has not given, the reaper finds, as every wake-up that is lost.
    """

    def __init__(self, wake: Callable[[New], None] = tasks.wake) -> None:
        self._wake = wake
        self._news = threading.Condition()
        self._waiting: dict[int, set[str]] = {}
        self._thread: threading.Thread | None = None

    def ring(self, new: New) -> None:
        """Wake workers for new deliveries, soon."""
        with self._news:
            for priority, channels in new.items():
                self._waiting.setdefault(priority, set()).update(channels)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._news.notify()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting)
                waiting, self._waiting = self._waiting, {}
            self._wake(waiting)
            with self._news:
                self._news.wait_for(lambda: Priority.HIGH.value in self._waiting, _REST_SECONDS)
