"""The Huey object, made on first use, and the tasks that rooms declare on it.

A task is a nudge: the database says what is due, so a lost, doubled or late task loses and doubles nothing.
"""

import logging
import threading
from collections.abc import Callable
from functools import cached_property, lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import psycopg
from huey import Huey, PostgresHuey, PriorityRedisHuey, SqliteHuey
from huey.api import TaskWrapper
from huey.constants import EmptyData
from huey.serializer import SignedSerializer
from huey.storage import PostgresStorage, SqliteStorage

from backend.lib import secrecy, settings
from backend.lib.changes import Changes

logger = logging.getLogger(__name__)

# Any number; the same one in every process that makes the queue's tables.
_ADVISORY_LOCK = 7_261_531


class Task:
    """A declared task: calling it enqueues it, ``run`` does its work here and now."""

    def __init__(self, function: Callable[..., None], *, every_tick: bool) -> None:
        self.run = function
        self.name = f"{function.__module__}.{function.__name__}"
        self.every_tick = every_tick

    def __call__(self, *args: Any, priority: int = 0, delay: float | None = None) -> bool:
        """Enqueue with Huey's ``priority`` (greater first), after ``delay`` seconds; tell whether it was possible.

        A queue that cannot be reached is no fault of the caller's: the repair task finds what no nudge reached.
        """
        try:
            _bound()[self.name].schedule(args=args, delay=delay or 0, priority=priority)
        except Exception:
            logger.exception("The queue did not take a nudge for %s; the repair task will find its work.", self.name)
            return False
        return True


_declared: list[Task] = []


def task(function: Callable[..., None]) -> Task:
    """Declare a task; its arguments are ids and plain words only."""
    _declared.append(Task(function, every_tick=False))
    return _declared[-1]


def periodic(function: Callable[..., None]) -> Task:
    """Declare a task that the worker's scheduler enqueues at each of its ticks."""
    _declared.append(Task(function, every_tick=True))
    return _declared[-1]


@lru_cache(maxsize=1)
def huey() -> Huey:
    """Return this process's Huey.

    Messages are signed: whoever can write to the queue's storage cannot make a worker unpickle what they like.
    """
    configuration = settings.current()
    serializer = SignedSerializer(secret=secrecy.digest(configuration.secret_key, "queue", "huey"))
    return _storage(configuration.queue_url, serializer)


def _storage(url: str, serializer: SignedSerializer) -> Huey:
    common: dict[str, Any] = {"name": "carillon", "results": False, "utc": True, "serializer": serializer}
    match urlsplit(url).scheme:
        case "sqlite":
            path = Path(url.removeprefix("sqlite:///"))
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            return SqliteHuey(storage_class=_WatchedStorage, filename=str(path), fsync=False, **common)
        case "redis" | "rediss":
            return PriorityRedisHuey(url=url, **common)
        case _:
            return _on_postgresql(url, common)


class _WatchedStorage(SqliteStorage):  # type: ignore[misc] # Huey ships no types
    """Huey's storage on SQLite, whose workers hear of a task at once and look for none meanwhile."""

    blocking = True  # Huey then leaves waiting to the storage
    read_timeout = 0.1  # seconds after which a look is taken all the same, and the worker asks whether it is to stop

    def dequeue(self) -> bytes | None:
        """Return the next task; wait a little for one if there is none."""
        task: bytes | None = super().dequeue()
        if task is None:
            self._changes.wait(self.read_timeout)
            task = super().dequeue()
        return task

    @cached_property
    def _changes(self) -> Changes:
        """Watch the log that SQLite writes first; it is there from the first look on, until all have closed it."""
        return Changes(Path(f"{self.filename}-wal"))


class _ListeningStorage(PostgresStorage):  # type: ignore[misc] # Huey ships no types
    """Huey's storage on PostgreSQL, of whose workers one at a time listens: a task wakes one, not all."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._turn = threading.Lock()
        self._listen_local = SimpleNamespace()  # where Huey keeps a connection for each thread

    def dequeue(self) -> bytes | None:
        """Return the next task; wait a little for one if there is none."""
        task: bytes | None = self._dequeue()
        if task is None and self._turn.acquire(timeout=self.read_timeout):
            try:
                task = super().dequeue()
            finally:
                self._turn.release()
        return task


def _on_postgresql(url: str, common: dict[str, Any]) -> Huey:
    """Make the queue's tables if they are missing, one process at a time: PostgreSQL fails all others but one."""

    def connect() -> psycopg.Connection:
        connection = psycopg.connect(url, autocommit=True)
        connection.execute("SET synchronous_commit = off")  # a nudge that a power cut takes back loses nothing
        return connection

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])  # ends with the connection
        return PostgresHuey(storage_class=_ListeningStorage, connection=connect, **common)


@lru_cache(maxsize=1)
def _bound() -> dict[str, TaskWrapper]:
    """Register every declared task on the Huey object, once."""
    engine = huey()
    wrappers: dict[str, TaskWrapper] = {}
    for declared in _declared:
        register = engine.periodic_task(lambda _moment: True) if declared.every_tick else engine.task()
        wrappers[declared.name] = register(declared.run)
    return wrappers


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
    _bound.cache_clear()
    huey.cache_clear()
