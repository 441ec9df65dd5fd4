"""The queue is dead, frozen, full, read-only or locked while notifications flow: it costs seconds and nothing else."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from backend.db.database import Database
from backend.lib import settings
from tests.factories import Laboratory, laboratory
from tests.redis_queue import RedisServer
from tests.storms.clients import Clients
from tests.storms.installation import Installation, Mailbox, wait_until
from tests.storms.rows import Row, record

COUNT = 40
# A timer of a second, a breaker that waits for a frozen queue, and a busy machine.
SECONDS = 6.0


def ready(home: Installation) -> str:
    return str(httpx2.get(f"{home.base}/readyz", trust_env=False, timeout=10).json()["status"])


def send(lab: Laboratory, home: Installation, mailbox: Mailbox, fault: str, prefix: str) -> None:
    """Send through the fault, which lasts until everything has come; see what it cost."""
    before = mailbox.count()
    began = time.monotonic()
    with Clients(home.base, lab, COUNT, prefix=prefix) as clients:
        wait_until(lambda: not clients.busy(), 30, home.lines)
        accepted = time.monotonic() - began
        came = wait_until(lambda: mailbox.count() >= before + COUNT, 30, home.lines)
    sent = mailbox.count() - before
    stood = max(clients.longest_wait(), came)
    record(Row(fault=fault, accepted=len(clients.accepted), sent=sent, lost=len(clients.accepted) - sent, stood=stood))
    assert not clients.refused
    assert len(clients.accepted) == sent == COUNT
    assert stood < SECONDS
    assert accepted < SECONDS


@pytest.mark.timeout(240)
def test_redis(redis_database: Database, redis_server: RedisServer, tmp_path: Path) -> None:
    lab = laboratory(redis_database)
    mailbox = Mailbox(tmp_path / "mailbox")
    with mailbox, Installation(tmp_path, mailbox.address) as home:
        with redis_server.dead():  # when they start, too
            home.start("serve")
            home.start("worker")
            send(lab, home, mailbox, "Redis dead from the start", "start")
            assert ready(home) == "degraded"
        wait_until(lambda: ready(home) == "ready", 10, home.lines)
        send(lab, home, mailbox, "Redis back", "back")
        for state in ("frozen", "full", "read_only", "dead"):
            with getattr(redis_server, state)():
                send(lab, home, mailbox, f"Redis {state.replace('_', '-')}", state)
                # An answer is given again for half a second.
                wait_until(lambda: ready(home) == "degraded", 5, home.lines)
            wait_until(lambda: ready(home) == "ready", 10, home.lines)
        said = home.lines()
        assert mailbox.copies().total() == len(mailbox.copies())
    assert "Traceback" not in said, said
    told = [line for line in said.splitlines() if "cannot be used" in line]
    assert len(told) <= 2 * 6, "two processes say it once for each fault at most"


@contextmanager
def locked(file: str) -> Iterator[None]:
    """Lock a file of SQLite for whoever else wants to write to it."""
    holder = sqlite3.connect(file, isolation_level=None, timeout=10)
    holder.execute("BEGIN EXCLUSIVE")
    yield
    holder.execute("ROLLBACK")
    holder.close()


@contextmanager
def spoiled(file: str) -> Iterator[None]:
    """Put something else in the place of a file of SQLite."""
    path = Path(file)
    path.rename(path.with_name("before"))
    path.write_bytes(b"This is no database." * 1000)
    yield
    path.with_name("before").rename(path)


@pytest.mark.timeout(240)
def test_a_file_of_sqlite(database: Database, tmp_path: Path) -> None:
    lab = laboratory(database)
    mailbox = Mailbox(tmp_path / "mailbox")
    file = settings.current().queue_url.removeprefix("sqlite:///")
    with mailbox, Installation(tmp_path, mailbox.address) as home:
        home.start("serve")
        home.start("worker")
        send(lab, home, mailbox, "none, queue on SQLite", "none")
        with locked(file):
            send(lab, home, mailbox, "queue file locked", "locked")
            wait_until(lambda: ready(home) == "degraded", 5, home.lines)
        wait_until(lambda: ready(home) == "ready", 10, home.lines)
        assert mailbox.copies().total() == len(mailbox.copies())
        assert "Traceback" not in home.lines(), home.lines()


@pytest.mark.timeout(240)
def test_a_spoiled_file_keeps_no_process_from_starting(
    database: Database, configure: Callable[..., settings.Settings], tmp_path: Path
) -> None:
    lab = laboratory(database)
    mailbox = Mailbox(tmp_path / "mailbox")
    file = Path(settings.current().queue_url.removeprefix("sqlite:///"))
    file.touch()
    with spoiled(str(file)), mailbox, Installation(tmp_path, mailbox.address) as home:
        home.start("serve")
        home.start("worker")
        send(lab, home, mailbox, "queue file is no database, from the start", "spoiled")
        assert ready(home) == "degraded"
