"""Retention of batches: one goes when its last member has gone, an unsent one stays."""

import pytest
from sqlalchemy import func, select

from backend.batching import manage
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Delivery, Event, Notification, OutboxMessage
from backend.delivery import retention, tasks
from backend.lib import throttle
from backend.lib.problems import Problem
from tests.batching.conftest import Harness

TABLES = (Notification, BatchMember, Batch, Delivery, Event, OutboxMessage)


@pytest.fixture
def keeper(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> Harness:
    """Let housekeeping begin anew."""
    monkeypatch.setattr(tasks, "_housekeeping", throttle.Throttle())
    return harness


def counts(harness: Harness) -> list[int]:
    """Count the rows of notifications, members, batches, deliveries, events and outbox messages."""
    with harness.lab.database.read() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES]


def test_a_sent_batch_goes_with_its_members(keeper: Harness) -> None:
    keeper.accept("S-1", "S-2", "S-3")
    keeper.clock.forward(seconds=61)
    keeper.work()
    before = counts(keeper)
    assert before[:4] == [3, 3, 1, 1]
    assert before[5] == 1
    keeper.clock.forward(days=29)
    tasks.purge.run()
    assert counts(keeper) == before
    keeper.clock.forward(days=2)
    tasks.purge.run()
    assert counts(keeper) == [0] * 6


def test_a_batch_outlives_a_chunk_of_its_members(keeper: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 2)
    keeper.accept("S-1", "S-2", "S-3")
    keeper.clock.forward(seconds=61)
    keeper.work()
    keeper.clock.forward(days=31)
    tasks.purge.run()
    assert counts(keeper)[:4] == [1, 1, 1, 1]
    tasks.purge.run()
    assert counts(keeper) == [0] * 6


def test_a_batch_that_is_held_back_stays_however_old(keeper: Harness) -> None:
    keeper.accept("S-1")
    manage.pause(keeper.lab.service_id, "run-1")
    keeper.clock.forward(days=400)
    keeper.work()
    before = counts(keeper)
    tasks.purge.run()
    assert counts(keeper) == before
    assert before[:3] == [1, 1, 1]
    assert [batch.status for batch in keeper.waiting()] == ["OPEN"]


def test_a_failed_batch_can_be_sent_again_only_while_all_its_members_are_kept(keeper: Harness) -> None:
    keeper.accept("S-1", "S-2")
    keeper.lab.template("X_LIST", "{{ fields[0].missing.deeper }}", format="text")
    keeper.clock.forward(seconds=61)
    keeper.work()
    keeper.clock.forward(days=31)
    with pytest.raises(Problem) as refused:
        manage.flush_now(keeper.lab.service_id, "run-1")
    assert refused.value.code == "not_found"
