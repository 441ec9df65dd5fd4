"""An outage is told in few words: what is wrong, and in the log once in half a minute, without a traceback."""

import errno
import io
import logging
import sqlite3

import psycopg
import pytest
from redis.exceptions import ConnectionError as RedisGone
from sqlalchemy import text
from sqlalchemy.exc import InternalError, OperationalError, SQLAlchemyError

from backend.db.database import Database
from backend.lib import logs, outages
from tests.conftest import MovableClock

NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


def of_sqlite(pragma: str) -> sqlite3.Error:
    """Return what SQLite itself raises."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE rows (text)")
    connection.execute(pragma)
    with pytest.raises(sqlite3.OperationalError) as told:
        connection.execute("INSERT INTO rows VALUES (zeroblob(100000))")
    return told.value


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (of_sqlite("PRAGMA max_page_count=2"), "its disk is full"),
        (of_sqlite("PRAGMA query_only=ON"), "it is read-only"),
        (OperationalError("INSERT", {}, psycopg.errors.DiskFull("could not extend file")), "its disk is full"),
        (InternalError("INSERT", {}, psycopg.errors.ReadOnlySqlTransaction("cannot execute")), "it is read-only"),
        (OperationalError("SELECT", {}, psycopg.errors.AdminShutdown("end")), "it is being stopped or started"),
        (OperationalError("SELECT", {}, psycopg.OperationalError("no route to 10.0.0.1")), "it cannot be reached"),
        (RedisGone("Error 111 connecting to cache.example:6379"), "it cannot be reached"),
        (NO_SPACE, "its disk is full"),
    ],
)
def test_the_reason_is_said_in_few_words(fault: Exception, reason: str) -> None:
    assert outages.is_outage(fault)
    assert outages.reason(fault) == reason


@pytest.mark.parametrize("statement", ["SELECT 1 FROM notifications_of_tomorrow", "SELECT tomorrow FROM services"])
def test_what_this_version_wants_and_the_database_lacks_is_one(any_database: Database, statement: str) -> None:
    with pytest.raises(SQLAlchemyError) as told, any_database.read() as session:
        session.execute(text(statement))
    assert outages.is_outage(told.value)
    assert outages.reason(told.value) == "its tables are not those of this version"


@pytest.mark.parametrize(
    "fault", [ValueError("x"), OSError(errno.ENOENT, "none"), sqlite3.IntegrityError("twice"), None]
)
def test_other_faults_are_none(fault: Exception | None) -> None:
    assert not outages.is_outage(fault)


def test_the_log_tells_it_once_in_half_a_minute_and_without_a_traceback(
    moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, root = io.StringIO(), logging.getLogger()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setattr(root, "handlers", [])
    logs.configure()

    def tell(fault: Exception, *names: str) -> None:
        for name in names:
            logging.getLogger(name).error("A task of %s failed", name, exc_info=fault)

    full = OperationalError("UPDATE a_secret", {}, NO_SPACE)
    tell(full, "huey", "backend.delivery.sending.pools", "huey")
    tell(ValueError("a defect"), "huey")
    tell(OSError(errno.EROFS, "Read-only file system"), "backend.jobs")
    moving_clock.forward(seconds=31)
    tell(full, "huey", "huey")
    told = [line.split(": ", 1)[1] for line in stream.getvalue().splitlines() if not line.startswith("    ")]
    cannot = "the database, queue or disk cannot be used,"
    assert told == [
        f"A task of huey failed: {cannot} its disk is full",
        "A task of huey failed",
        f"A task of backend.jobs failed: {cannot} it is read-only",
        f"A task of huey failed: {cannot} its disk is full (2 more such entries since the last one)",
    ]
    assert "    ValueError: a defect" in stream.getvalue()
    assert "a_secret" not in stream.getvalue()
