"""A hundred thousand notifications cost a page no more than a few: no page reads a large table from end to end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import event, text

from backend.db.database import Database
from backend.lib import clock
from tests.portal.conftest import Browser
from tests.portal.furnished import PLATFORM_ADMIN, Furnished, furnish

_MANY = 100_000
# A page has 50 ms on the machine that it is meant for (`python -m tests.benchmarks portal` measures it); the one that
# runs tests may be five times as slow.
_SECONDS = 0.25
# Read along its primary key only as far as a page goes, where the messages of all services are shown.
_STOPS_EARLY = "ORDER BY outbox_messages.id DESC\n LIMIT"
_FILES = (".csv", ".xlsx")
_LARGE = ("notifications", "deliveries", "events", "batch_members", "outbox_messages")


@pytest.fixture
def full(browser: Browser, database: Database) -> Furnished:
    """Give a service with many notifications, seen by a platform administrator, who sees everything."""
    made = furnish(database, many=_MANY)
    browser.sign_in(PLATFORM_ADMIN)
    return made


def pages(full: Furnished, application: Litestar) -> list[str]:
    """Return the addresses of all pages, and of those with filters that find much, little and nothing."""
    with full.desk.lab.database.read() as session:
        uid = UUID(bytes=session.execute(text("SELECT uid FROM notifications WHERE id = 50000")).scalar_one())
    listed = "/notifications"
    week_ago = (clock.today() - timedelta(days=6)).isoformat()
    filtered = [
        "?by=channel",
        f"{listed}?status=FAILED",
        f"{listed}?status=FAILED&from={week_ago}&to={week_ago}",
        f"{listed}?to={week_ago}",
        f"{listed}?recipient=X_LAB",
        f"{listed}?recipient=X_TWO",
        f"{listed}?template_id=X_LIST&channel=SMS&priority=HIGH&aggregator_id=none",
        f"{listed}?before={uid}",
        f"{listed}?q={uid}",
        f"{listed}?q={str(uid)[:4]}",
        f"{listed}/{uid}",
        f"{listed}/{uid}?view=answers",
        "/recipients?q=lab",
    ]
    # A file has all the rows of its list, by pages of its own; the doctor counts what waits, on purpose.
    shown = [address for _, address in full.addresses(application) if not address.endswith((*_FILES, "/admin/doctor"))]
    return shown + [full.desk.home + rest for rest in filtered]


@contextmanager
def plans(database: Database) -> Iterator[list[str]]:
    """Collect how SQLite goes about each statement that reads meanwhile."""
    found: list[str] = []

    def explain(connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT"):
            cursor = connection.connection.driver_connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found.extend(f"{row[3]}  in  {statement}" for row in cursor)

    event.listen(database.engine, "before_cursor_execute", explain)
    yield found
    event.remove(database.engine, "before_cursor_execute", explain)


def test_no_page_takes_long_or_scans_a_table_that_grows(
    browser: Browser, client: TestClient[Litestar], full: Furnished
) -> None:
    slow: list[str] = []
    asked = pages(full, client.app)
    with plans(full.desk.lab.database) as steps:
        for page in asked:  # and templates are compiled once
            assert browser.get(page).status_code in {200, 303}, page
    scans = [step for step in steps if step.startswith("SCAN ") and step.split()[1] in _LARGE]
    assert not [step for step in scans if _STOPS_EARLY not in step]
    assert any("ix_notifications_service_status" in step for step in steps)
    for page in asked:
        began = time.process_time()
        browser.get(page)
        took = time.process_time() - began
        print(f"{took * 1000:6.1f} ms  {page}")
        if took > _SECONDS:
            slow.append(f"{page}: {took:.3f} s")
    assert not slow
