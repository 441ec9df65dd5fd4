"""The Huey object, made on first use, and the tasks that packages declare on it.

A task is a wake-up: the database says what is due, so a lost, doubled or late task loses and doubles nothing. While the
queue is away nobody tries to give one, and workers find what is due by themselves, each second.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec
from huey import Huey
from huey.api import TaskWrapper
from huey.constants import EmptyData
from huey.consumer import Consumer, Scheduler, Worker
from huey.exceptions import HueyException
from huey.serializer import SignedSerializer

from backend.lib import clock, queue_storage, secrecy, settings

logger = logging.getLogger(__name__)
PROBE_SECONDS = 1.0
_CONSEQUENCE = "workers find what is due in the database by themselves, within seconds"
_REST_SECONDS = 1.0
# For how long a periodic task that can go on at its next turn works at a time: others of its package wait for it.
TURN_SECONDS = 1.0


# A circuit breaker: after a failure nobody waits for what is away, until one thread of ours has found it back.


class Breaker:
    """Open while ``what`` is away; ``probe`` raises for as long as it is, and is tried each second.

    The log is told twice: when it opens, with ``consequence``, and when it closes.
    """

    def __init__(self, what: str, consequence: str, probe: Callable[[], object]) -> None:
        self._what, self._consequence, self._probe = what, consequence, probe
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._since: datetime | None = None

    def is_open(self) -> bool:
        """Tell whether it is of no use to try."""
        return self._since is not None

    @property
    def since(self) -> datetime | None:
        """Return since when it is open."""
        return self._since

    def failed(self, error: Exception) -> None:
        """Open it, and begin to look whether it can be closed."""
        with self._lock:
            if self._since is not None or self._ended.is_set():
                return
            self._since = clock.now()
            threading.Thread(target=self._look, name="breaker", daemon=True).start()
        logger.warning("%s: %s", self._what, self._consequence, exc_info=error)

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def _look(self) -> None:
        while not self._ended.wait(PROBE_SECONDS):
            try:
                self._probe()
            except Exception:  # noqa: S112 - it was said when the breaker opened
                continue
            with self._lock:
                since, self._since = self._since, None
            seconds = (clock.now() - since).total_seconds() if since else 0.0
            logger.info("%s: well again after %.0f seconds", self._what, seconds)
            return


class Task:
    """A declared task: calling it enqueues it, ``run`` does its work here and now."""

    def __init__(self, function: Callable[..., None]) -> None:
        self.run = function
        self.name = f"{function.__module__}.{function.__name__}"

    def __call__(self, *args: Any, priority: int = 0, delay: float | None = None) -> bool:
        """Enqueue with Huey's ``priority`` (greater first), after ``delay`` seconds; tell whether it was possible.

        A queue that cannot be reached is no fault of the caller's, who waits for it a second at most, and not at all
        when it is known to be away.
        """
        breaker = giving()
        if breaker.is_open():
            return False
        with _one_at_a_time:  # those who wait here while one finds the queue away wait no longer than that one
            if breaker.is_open():
                return False
            try:
                _bound()[self.name].schedule(args=args, delay=delay or 0, priority=priority)
            except Exception as error:
                breaker.failed(error)
                return False
        return True


class Periodic(msgspec.Struct, frozen=True):
    """What every worker does once a second, by a timer of its own."""

    run: Callable[[], None]

    @property
    def name(self) -> str:
        """Return the name for the log."""
        return f"{self.run.__module__}.{self.run.__name__}"

    @property
    def package(self) -> str:
        """Return the package that it is of."""
        return self.run.__module__.rpartition(".")[0]


_declared: list[Task] = []
_periodic: list[Periodic] = []
_one_at_a_time = threading.Lock()


def task(function: Callable[..., None]) -> Task:
    """Declare a task; its arguments are ids and plain words only."""
    _declared.append(Task(function))
    return _declared[-1]


def periodic(function: Callable[[], None]) -> Periodic:
    """Declare what every worker does once a second; it needs no queue for that."""
    _periodic.append(Periodic(function))
    return _periodic[-1]


def periodic_tasks() -> list[Periodic]:
    """List what was declared to be done once a second."""
    return list(_periodic)


@lru_cache(maxsize=1)
def huey() -> Huey:
    """Return this process's Huey, whose storage is not touched before it is used.

    Messages are signed: whoever can write to the queue's storage cannot make a worker unpickle what they like.
    """
    configuration = settings.current()
    serializer = SignedSerializer(secret=secrecy.digest(configuration.secret_key, "queue", "huey"))
    return queue_storage.make(configuration.queue_url, serializer)


@lru_cache(maxsize=1)
def giving() -> Breaker:
    """Return what knows whether the queue takes tasks from this process at the moment."""
    engine = huey()
    what = "The queue does not take wake-ups"
    return Breaker(what, _CONSEQUENCE, lambda: queue_storage.try_to_write(engine))


def try_to_write() -> None:
    """See whether the queue takes what is written to it.

    Raises:
        Exception: as whoever wants to enqueue meets it now, within a few seconds.
    """
    try:
        queue_storage.try_to_write(huey())
    except Exception as error:
        giving().failed(error)
        raise


@lru_cache(maxsize=1)
def _bound() -> dict[str, TaskWrapper]:
    """Register every declared task on the Huey object, once."""
    register = huey().task
    return {declared.name: register()(declared.run) for declared in _declared}


def bind() -> Huey:
    """Return this process's Huey with every declared task registered, as a consumer needs it."""
    _bound()
    return huey()


def remember(name: str, value: bytes) -> None:
    """Keep a few bytes in the queue's storage, in place of what was kept by this name.

    Whatever the storage raises when it cannot be used is raised.
    """
    huey().storage.put_data(name, value)


def recall(name: str) -> bytes | None:
    """Return what is kept in the queue's storage by a name, if anything; errors are as in ``remember``."""
    found = huey().storage.peek_data(name)
    return None if found is EmptyData else bytes(found)


def reset() -> None:
    """Forget the Huey object, so that the next use reads the settings anew."""
    if giving.cache_info().currsize:
        giving().end()
    giving.cache_clear()
    _bound.cache_clear()
    huey.cache_clear()


# Huey's consumer as workers need it: while the queue is away it asks once a second, and says so once.


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
        except HueyException:
            # Taken from the queue, by a release that has no task of that name any more, or not yet.
            logger.warning("A wake-up was lost; its work is found in the database", exc_info=True)
            return
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
