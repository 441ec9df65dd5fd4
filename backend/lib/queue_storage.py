"""Where Huey keeps its tasks: on SQLite, PostgreSQL or Redis, each with a limit to how long anyone waits for it.

None of them is touched before it is used first, so that a process starts while its queue is away. The tables are
made with the first connection.
"""

import ctypes
import logging
import os
import select
import threading
import time
import weakref
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import psycopg
from huey import Huey, PostgresHuey, PriorityRedisHuey, SqliteHuey
from huey.serializer import SignedSerializer
from huey.storage import PostgresStorage, PriorityRedisStorage, SqliteStorage
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from backend.lib import outages, postgresql

logger = logging.getLogger(__name__)
_IN_MODIFY = 2  # from sys/inotify.h
_LOOK_SECONDS = 0.05
# Any number; the same one in every process that makes the queue's tables.
_ADVISORY_LOCK = 7_261_531
# How long anyone waits for the queue, in seconds; a worker that waits for a task waits for that besides.
_PATIENCE_SECONDS = 1.0
_POLL_SECONDS = 0.1
_WRITTEN = "carillon.written"
# What PostgreSQL writes to who is not let in; psycopg gives no code where there is no connection yet.
_WRONG = ("authentication failed", "no pg_hba.conf entry", "does not exist", "no password supplied")


# Hearing of a file's changes from the kernel, by inotify(7), so that a thread can wait for them without looking.
#
# What other systems than Linux offer instead is not used: there one looks now and then. For speed alone: without it
# HIGH takes three times as long to be sent on SQLite (``python -m tests.benchmarks.devices inotify``).


class Changes:
    """The writes to one file, by whichever process; of several threads that wait, one hears of each."""

    def __init__(self, path: Path) -> None:
        self._condition = threading.Lock()
        self._events: int | None = None
        try:
            self._events = _watch(path)
            weakref.finalize(self, os.close, self._events)
        except (OSError, AttributeError) as fault:
            logger.warning("The kernel does not tell of changes of %s, which is looked at instead: %s", path, fault)

    def wait(self, seconds: float) -> None:
        """Return when there may have been a change, or the time is over."""
        if self._events is None:
            time.sleep(min(seconds, _LOOK_SECONDS))
            return
        end = time.monotonic() + seconds
        if not self._condition.acquire(timeout=seconds):
            return
        try:
            poll = select.poll()
            poll.register(self._events, select.POLLIN)
            if poll.poll(max(0.0, end - time.monotonic()) * 1000):
                os.read(self._events, 4096)
        finally:
            self._condition.release()


def _watch(path: Path) -> int:
    """Return a descriptor that can be read when the file has been written to."""
    libc = ctypes.CDLL(None, use_errno=True)
    events = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if events < 0:
        raise OSError(ctypes.get_errno(), "there are too many watches")
    if libc.inotify_add_watch(events, os.fsencode(path), _IN_MODIFY) < 0:
        os.close(events)
        raise OSError(ctypes.get_errno(), "the file cannot be watched")
    return events


def make(url: str, serializer: SignedSerializer) -> Huey:
    """Return the Huey on an address."""
    common: dict[str, Any] = {"name": "carillon", "results": False, "utc": True, "serializer": serializer}
    match urlsplit(url).scheme:
        case "sqlite":
            file = str(Path(url.removeprefix("sqlite:///")))
            options = {"filename": file, "fsync": False, "timeout": _PATIENCE_SECONDS, "create_tables": False}
            return SqliteHuey(storage_class=WatchedStorage, **options, **common)
        case "redis" | "rediss":
            return PriorityRedisHuey(storage_class=PatientStorage, address=url, **common)
        case _:
            return PostgresHuey(storage_class=ListeningStorage, address=url, create_tables=False, **common)


def try_to_write(huey: Huey) -> None:
    """Write something small where tasks are written, and leave it there for the next time.

    Raises:
        Exception: whatever the storage raises to one who wants to enqueue now.
    """
    huey.storage.put_data(_WRITTEN, b"1")


def is_refused(error: Exception) -> bool:
    """Tell whether a failure says that the address itself is wrong: waiting mends none of these."""
    if isinstance(error, psycopg.OperationalError):
        return any(words in str(error) for words in _WRONG)
    code = getattr(error, "sqlite_errorname", "")
    in_the_way = isinstance(error, OSError) and not outages.is_outage(error)
    return isinstance(error, AuthenticationError) or in_the_way or code == "SQLITE_CANTOPEN"


def remark(huey: Huey) -> str | None:
    """Say what could be better about an address that works; None where nothing could."""
    pooled = isinstance(huey.storage, ListeningStorage) and huey.storage.is_pooled
    if not pooled:
        return None
    return (
        "its address leads through a pooler, by which no worker can be told of a task: they look ten times a second. "
        "Name PostgreSQL itself in CARILLON_QUEUE_URL"
    )


class WatchedStorage(SqliteStorage):  # type: ignore[misc] # Huey ships no types
    """Huey's storage on SQLite, whose workers hear of a task at once and look for none meanwhile."""

    blocking = True  # Huey then leaves waiting to the storage
    read_timeout = _POLL_SECONDS  # after which a look is taken all the same, and the worker asks whether it is to stop

    def dequeue(self) -> bytes | None:
        """Return the next task; wait a little for one if there is none."""
        task: bytes | None = super().dequeue()
        if task is None:
            self._changes.wait(self.read_timeout)
            task = super().dequeue()
        return task

    def _create_connection(self) -> Any:
        Path(self.filename).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = super()._create_connection()
        try:
            for statement in self.ddl:
                connection.execute(statement)
        except BaseException:
            connection.close()
            raise
        return connection

    @cached_property
    def _changes(self) -> Changes:
        """Watch the log that SQLite writes first; it is there from the first look on, until all have closed it."""
        return Changes(Path(f"{self.filename}-wal"))


class ListeningStorage(PostgresStorage):  # type: ignore[misc] # Huey ships no types
    """Huey's storage on PostgreSQL, of whose workers one at a time listens: a task wakes one, not all.

    Through a pooler nobody listens, since what one hears another may have asked for: they look again and again.
    """

    def __init__(self, name: str, *, address: str, **options: Any) -> None:
        self._address = address
        self._has_tables = False
        self._pooled = False
        self._condition = threading.Lock()
        super().__init__(name, connection=self._open, **options)
        self._listen_local = SimpleNamespace()  # where Huey keeps a connection for each thread

    @property
    def is_pooled(self) -> bool:
        """Tell whether the address leads through a pooler."""
        _ = self.conn
        return self._pooled

    def dequeue(self) -> bytes | None:
        """Return the next task; wait a little for one if there is none."""
        task: bytes | None = self._dequeue()
        if task is not None:
            return task
        if self._pooled:
            threading.Event().wait(_POLL_SECONDS)
            return None
        if self._condition.acquire(timeout=self.read_timeout):
            try:
                task = super().dequeue()
            finally:
                self._condition.release()
        return task

    def _open(self) -> psycopg.Connection[Any]:
        """Connect; make the tables if they are missing, one process at a time: PostgreSQL fails all others but one."""
        connection = postgresql.connect(postgresql.ImpatientConnection, self._address, autocommit=True)
        try:
            self._pooled = connection.prepare_threshold is None
            if not self._pooled:  # behind a pooler the setting would reach other clients
                # A task that a power cut takes back loses nothing.
                connection.execute("SET synchronous_commit = off")
            if not self._has_tables:
                self._make_tables(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _make_tables(self, connection: psycopg.Connection[Any]) -> None:
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ADVISORY_LOCK])
            for statement in self.ddl:
                connection.execute(statement)
        self._has_tables = True


class PatientStorage(PriorityRedisStorage):  # type: ignore[misc] # Huey ships no types
    """Huey's storage on Redis, which does not wait for one that is frozen, nor try again and again."""

    def __init__(self, name: str, *, address: str) -> None:
        super().__init__(name, connection_pool=_pool(address, _PATIENCE_SECONDS))
        self._waiting = Redis(connection_pool=_pool(address, self.read_timeout + _PATIENCE_SECONDS))

    def dequeue(self) -> bytes | None:
        """Return the next task; wait a little for one if there is none.

        Raises:
            RedisError: nobody answers, not even that there is none.
        """
        found: Any = self._waiting.bzpopmin(self.queue_key, timeout=self.read_timeout)
        # Huey puts eight bytes before a task, so that those of one priority come in their order.
        return found[1][8:] if found else None


def _pool(url: str, seconds: float) -> ConnectionPool:
    """Make the pool of connections, which are opened when they are used; one that Redis has closed is opened anew."""
    retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return ConnectionPool.from_url(url, socket_timeout=seconds, socket_connect_timeout=_PATIENCE_SECONDS, retry=retry)
