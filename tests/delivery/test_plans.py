"""What is due is found by an index, however many deliveries are stored."""

from typing import Any

import pytest
from sqlalchemy import Connection, event

from backend.batching import flush
from backend.db.session import Database
from backend.delivery import claims, repair


@pytest.fixture
def plans(database: Database) -> list[str]:
    """Collect how SQLite goes about each statement that reads, as soon as it is run."""
    found: list[str] = []

    @event.listens_for(database.engine, "after_cursor_execute")
    def explain(connection: Connection, cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        if statement.startswith("SELECT") and "FROM" in statement:
            raw: Any = connection.connection.driver_connection
            rows = raw.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            found.extend(str(row[3]) for row in rows)

    return found


def test_claiming_reads_the_index_of_what_is_due(database: Database, plans: list[str]) -> None:
    with database.write() as session:
        claims.claim(session, "worker", limit=10)
    assert len(plans) == 3, plans
    assert all("ix_deliveries_due (priority=? AND due_at<?)" in plan for plan in plans), plans


def test_repair_reads_the_index_of_what_is_due(database: Database, plans: list[str]) -> None:
    with database.read() as session:
        assert not repair.anything_due(session)
    assert plans
    assert all("ix_deliveries_due (priority=? AND due_at<?)" in plan for plan in plans), plans


def test_repair_reads_the_index_of_what_is_claimed(database: Database, plans: list[str]) -> None:
    with database.read() as session:
        assert repair.stranded(session, [], "worker", ()) == []
    assert any("ix_deliveries_claimed" in plan for plan in plans), plans
    assert not any(plan.startswith("SCAN deliveries") for plan in plans), plans


def test_flushing_reads_the_index_of_what_waits(database: Database, plans: list[str]) -> None:
    with database.read() as session:
        assert flush.due(session) == []
        assert not flush.anything_ahead(session)
    looks = [plan for plan in plans if "batches" in plan]
    assert looks
    assert all("ix_batches_due" in plan for plan in looks), plans
