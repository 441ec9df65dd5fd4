"""What is due is found by an index, however many deliveries are stored."""

from typing import Any

import pytest
from sqlalchemy import Connection, event

from backend.batching import flush
from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.leases import Lease
from backend.db.models.notifications import Priority
from backend.delivery import reaper
from backend.delivery.queueing import claims, fairness
from backend.delivery.queueing.fairness import FairScheduler
from backend.intake.accept import accept_many
from tests.factories import laboratory, notification


@pytest.fixture
def plans(database: Database) -> list[str]:
    """Collect how SQLite goes about each statement that reads, as soon as it is run."""
    found: list[str] = []

    @event.listens_for(database.engine, "after_cursor_execute")
    def explain(connection: Connection, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith(("SELECT", "WITH")) and "FROM" in statement:
            raw: Any = connection.connection.driver_connection
            rows = raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            found.extend(str(row[3]) for row in rows)

    return found


def test_claiming_reads_the_index_of_what_is_due(database: Database, plans: list[str]) -> None:
    lab = laboratory(database)
    accept_many([lab.submission(notification())], lambda _priorities: None)
    Lease("worker").extend()
    plans.clear()
    with database.transaction() as session:
        assert claims.claim(session, "worker", Channel.EMAIL, limit=10, scheduler=FairScheduler())
    looks = [plan for plan in plans if "deliveries" in plan and "rowid=?" not in plan]
    seeks = {plan.partition("ix_deliveries_due ")[2] for plan in looks}
    assert seeks == {
        "(type=? AND priority=? AND service_id>?)",
        "(type=? AND priority=? AND service_id=? AND due_at<?)",
    }, plans


def test_repair_reads_the_index_of_what_is_due(database: Database, plans: list[str]) -> None:
    with database.read() as session:
        assert fairness.waiting(session, set(Priority)) == []
    assert plans
    assert not [plan for plan in plans if "deliveries" in plan and "ix_deliveries_due" not in plan], plans


def test_repair_reads_the_index_of_what_is_claimed(database: Database, plans: list[str]) -> None:
    with database.read() as session:
        assert reaper.orphaned(session, "worker", ()) == []
    assert any("ix_deliveries_claimed" in plan for plan in plans), plans
    assert not any(plan.startswith("SCAN deliveries") for plan in plans), plans


def test_flushing_reads_the_index_of_what_waits(database: Database, plans: list[str]) -> None:
    with database.read() as session:
        assert flush.due(session) == []
        assert not flush.anything_ahead(session)
    looks = [plan for plan in plans if "batches" in plan]
    assert looks
    assert all("ix_batches_due" in plan for plan in looks), plans
