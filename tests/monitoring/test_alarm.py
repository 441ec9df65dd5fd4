"""An imbalance shows in the log, at /metrics and to ``carillon doctor``; an even ledger shows nowhere as a fault."""

import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import event

from backend.commands import inspect
from backend.db.database import Database
from backend.lib import metrics
from backend.monitoring import alarm, gauges, tasks
from tests.monitoring.conftest import Harness
from tests.monitoring.test_ledger import lose


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Let no figure of another test's database be remembered."""
    gauges.clear()
    alarm.check.clear()
    yield
    gauges.clear()
    alarm.check.clear()


def scraped(name: str) -> float:
    text = metrics.exposition(gauges.State()).decode()
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, f"{name} is not in\n{text}"
    return float(found[1])


def doctor() -> tuple[str, str]:
    """Return what the doctor says of the ledger in its first line: the mark and the rest."""
    lines = CliRunner().invoke(inspect.doctor).output.splitlines()
    (line,) = [line for line in lines if line.split()[1] == "ledger"]
    mark, _, rest = line.split(maxsplit=2)
    return mark, rest


def test_an_imbalance_is_an_alarm_in_three_places(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.accept("S-1", "S-2", "S-3")
    harness.work()
    lose(harness)
    with caplog.at_level(logging.INFO):
        tasks.check_ledger.run()
    (entry,) = [entry for entry in caplog.records if entry.name == "backend.monitoring.alarm"]
    assert entry.levelno == logging.ERROR
    assert entry.__dict__["fields"] == {
        "service": harness.lab.service_id,
        "day": "2026-03-02",
        "accepted": 3,
        "delivered": 0,
        "sent": 2,
        "failed": 0,
        "cancelled": 0,
        "waiting": 0,
        "imbalance": 1,
    }
    assert scraped('carillon_ledger_imbalance{day="today"}') == 1
    assert scraped('carillon_ledger_uneven_services{day="today"}') == 1
    assert scraped(f'carillon_ledger_service_imbalance{{day="today",service="{harness.lab.service_id}"}}') == 1
    mark, rest = doctor()
    assert mark == "FAULT"
    assert f"service {harness.lab.service_id} on 2026-03-02: 3 accepted ≠ 0 delivered + 2 sent" in rest


def test_an_even_ledger_is_no_alarm(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.accept("S-1", "S-2", "S-3")
    harness.work()
    harness.buffer("S-4")
    tasks.check_ledger.run()
    assert [entry for entry in caplog.records if entry.name == "backend.monitoring.alarm"] == []
    assert scraped('carillon_ledger_imbalance{day="today"}') == 0
    assert scraped('carillon_ledger_messages{day="today",state="accepted"}') == 5
    assert scraped('carillon_ledger_messages{day="today",state="sent"}') == 3
    assert scraped('carillon_ledger_messages{day="today",state="waiting"}') == 2
    assert scraped('carillon_ledger_messages{day="yesterday",state="accepted"}') == 0
    assert doctor()[0] == "ok"
    whole = (
        f"service {harness.lab.service_id} on 2026-03-02: 5 accepted = 0 delivered + 3 sent + 0 failed + 0 cancelled"
    )
    assert whole in CliRunner().invoke(inspect.doctor).output


def test_it_is_checked_once_a_minute(harness: Harness, caplog: pytest.LogCaptureFixture) -> None:
    harness.accept("S-1")
    lose(harness)
    for _ in range(3):
        tasks.check_ledger.run()
    harness.clock.forward(seconds=61)
    tasks.check_ledger.run()
    assert sum(entry.name == "backend.monitoring.alarm" for entry in caplog.records) == 2


def test_depths_tell_what_waits_and_since_when(harness: Harness) -> None:
    harness.accept("S-1", "S-2", priority="HIGH")
    harness.accept("S-3")
    harness.buffer("S-4")
    assert scraped('carillon_deliveries{priority="HIGH",state="queued"}') == 2
    assert scraped('carillon_deliveries{priority="NORMAL",state="queued"}') == 1
    assert scraped('carillon_batches_waiting{state="open"}') == 2
    assert scraped('carillon_oldest_due_seconds{priority="HIGH"}') == 0
    harness.clock.forward(seconds=30)
    assert scraped('carillon_oldest_due_seconds{priority="HIGH"}') == 30
    assert scraped('carillon_oldest_due_seconds{priority="BATCH"}') == 0
    harness.work()
    harness.clock.forward(seconds=2)
    assert scraped('carillon_deliveries{priority="HIGH",state="queued"}') == 0
    assert scraped("carillon_deliveries_sending") == 0


def test_sending_is_counted_and_timed_by_channel_provider_and_outcome(harness: Harness) -> None:
    attempts = 'carillon_attempts_total{channel="EMAIL",outcome="accepted",priority="HIGH",provider="outbox"}'
    latency = 'carillon_accept_to_sent_seconds_{}{{channel="EMAIL",priority="HIGH",provider="outbox"}}'
    accepted = 'carillon_accepted_messages_total{channel="EMAIL",priority="HIGH"}'
    harness.accept("S-0", priority="HIGH")
    harness.work()
    before = [scraped(name) for name in (attempts, latency.format("count"), latency.format("sum"), accepted)]
    harness.accept("S-1", "S-2", priority="HIGH", recipient=["X_TWO"])
    harness.clock.forward(seconds=7)
    harness.work()
    after = [scraped(name) for name in (attempts, latency.format("count"), latency.format("sum"), accepted)]
    assert [b - a for a, b in zip(before, after, strict=True)] == [4, 4, pytest.approx(28), 4]


def test_depths_are_found_without_reading_whole_tables(database: Database) -> None:
    """SQLite takes the indexes of what waits only for statements that say so in so many words."""
    said: list[tuple[str, Any]] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def _note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said.append((statement, parameters))

    with database.read() as session:
        gauges.measure(session)
        asked = [pair for pair in said if " deliveries" in pair[0] or " batches" in pair[0]]
        assert len(asked) == 4
        for statement, parameters in asked:
            plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            steps = [str(row[3]) for row in plan if "B-TREE" not in row[3]]
            assert steps
            assert all("ix_deliveries_" in step or "ix_batches_" in step for step in steps), (statement, steps)
