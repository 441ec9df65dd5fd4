"""Huey's consumer as workers need it: while the queue is away it asks once a second, and says so once."""

import logging
import threading
from datetime import datetime

from huey import Huey
from huey.consumer import Consumer, Scheduler, Worker

logger = logging.getLogger(__name__)

_REST_SECONDS = 1.0


class _Trouble:
    """Whether the queue gave nothing the last time, which is said once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_known = False

    def seen(self, error: Exception) -> None:
        """Say that the queue cannot be read, unless that was said already."""
        with self._lock:
            is_new, self._is_known = not self._is_known, True
        if is_new:
            logger.warning("Wake-ups cannot be taken from the queue; it is tried again", exc_info=error)

    def over(self) -> None:
        """Remember that the queue can be read."""
        self._is_known = False


class _Taker(Worker):  # type: ignore[misc] # Huey ships no types
    """A thread that runs tasks."""

    trouble: _Trouble

    def loop(self, now: datetime | None = None) -> None:
        """Take one task, and run it."""
        try:
            task = self.huey.dequeue()
        except Exception as error:
            self.trouble.seen(error)
            self.stop_flag.wait(_REST_SECONDS)
            return
        self.trouble.over()
        if task is None:
            return
        try:
            self.huey.execute(task, now)
        except Exception:
            # A task that is not due yet goes back to the queue, which may be away.
            logger.warning("A wake-up was lost; its work is found in the database", exc_info=True)


class _Clock(Scheduler):  # type: ignore[misc] # Huey ships no types
    """The thread that enqueues what was to wait for its moment."""

    trouble: _Trouble

    def loop(self, now: datetime | None = None) -> None:
        """Enqueue what is due now, once a second."""
        try:
            for task in self.huey.read_schedule(now):
                self.huey.enqueue(task)
        except Exception as error:
            self.trouble.seen(error)
        self.stop_flag.wait(_REST_SECONDS)


class WakingConsumer(Consumer):  # type: ignore[misc] # Huey ships no types
    """Runs tasks in ``threads`` until SIGTERM, which lets them take ``patience`` seconds to end."""

    worker_class = _Taker
    scheduler_class = _Clock

    def __init__(self, huey: Huey, *, threads: int, patience: float) -> None:
        self._trouble = _Trouble()
        super().__init__(
            huey,
            workers=threads,
            periodic=False,
            worker_type="thread",
            graceful_signal="TERM",
            shutdown_timeout=patience,
        )

    def _create_worker(self) -> Worker:
        taker = super()._create_worker()
        taker.trouble = self._trouble
        return taker

    def _create_scheduler(self) -> Scheduler:
        clock = super()._create_scheduler()
        clock.trouble = self._trouble
        return clock
