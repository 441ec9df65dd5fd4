"""A queue that is dead, frozen, full, read-only or locked: nobody waits for it twice, and it is found back."""

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import redis

from backend.db.database import Database
from backend.delivery import tasks
from backend.lib import queue, queue_storage, settings
from tests.postgres_queue import frozen_backend
from tests.redis_queue import RedisServer
from tests.storms.installation import wait_until

Fault = Callable[[], AbstractContextManager[object]]
# One try, of which connecting is a part.
PATIENCE = 3.0


@pytest.fixture(autouse=True)
def probe_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "PROBE_SECONDS", 0.02)


def give() -> tuple[bool, float]:
    """Enqueue a task; return whether the queue took it, and how long that took."""
    began = time.monotonic()
    return tasks.deliver(20), time.monotonic() - began


def refusal() -> Exception | None:
    """Write to the queue; return what it raises, which each storage has of its own."""
    try:
        queue.try_to_write()
    except Exception as error:
        return error
    return None


def see_it_out(fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    """Give before, while and after the queue is at fault."""
    caplog.set_level(logging.INFO, "backend")
    assert give()[0]
    with fault():
        taken, took = give()
        assert not taken
        assert took < PATIENCE
        again = [give() for _ in range(50)]
        assert not any(one for one, _ in again)
        assert sum(seconds for _, seconds in again) < 0.1, "nobody waits while it is known to be away"
        assert refusal() is not None
    wait_until(lambda: not queue.giving().is_open(), 10, lambda: "the breaker stays open")
    assert give()[0]
    said = [entry.getMessage() for entry in caplog.records if entry.name == "backend.lib.queue"]
    assert len(said) == 2, said
    assert "well again" in said[1]


@pytest.mark.parametrize("state", ["dead", "frozen", "full", "read_only"])
def test_redis(
    redis_database: Database, redis_server: RedisServer, state: str, caplog: pytest.LogCaptureFixture
) -> None:
    see_it_out(getattr(redis_server, state), caplog)


def test_a_file_that_another_process_has_locked(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    file = settings.current().queue_url.removeprefix("sqlite:///")

    @contextmanager
    def locked() -> Iterator[None]:
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        yield
        holder.execute("ROLLBACK")
        holder.close()

    see_it_out(locked, caplog)


def test_postgresql_whose_process_hangs(postgres_database: Database, caplog: pytest.LogCaptureFixture) -> None:
    see_it_out(lambda: frozen_backend(queue.huey()), caplog)


def test_a_queue_that_is_away_keeps_no_process_from_starting(configure: Callable[..., settings.Settings]) -> None:
    for url in ("redis://127.0.0.1:1/0", "postgresql://nobody@127.0.0.1:1/none"):
        configure(QUEUE_URL=url)
        queue.bind()
        refused = refusal()
        assert refused is not None
        assert not queue_storage.is_refused(refused)


@pytest.fixture
def locked_redis(redis_server: RedisServer) -> Iterator[RedisServer]:
    """Give a Redis that wants a password."""
    redis_server.client().config_set("requirepass", "right")
    yield redis_server
    redis.Redis.from_url(redis_server.url, password="right").config_set("requirepass", "")


def test_an_address_that_will_never_do_is_told_from_one_that_is_away(
    configure: Callable[..., settings.Settings], locked_redis: RedisServer, postgres_url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for url in (
        locked_redis.url.replace("redis://", "redis://:wrong@"),
        postgres_url.replace("/postgres?", "/no_such_database?"),
        f"sqlite:///{tmp_path}/file/queue.db",
    ):
        configure(QUEUE_URL=url)
        refused = refusal()
        assert refused is not None
        assert queue_storage.is_refused(refused), (url, refused)
