"""What waits is counted by priority and status, and looking at much of it takes no memory."""

from datetime import timedelta

from sqlalchemy import update

from backend.db.database import Database
from backend.db.models.notifications import Delivery, DeliveryStatus, Priority
from backend.intake.accept import accept_many
from backend.lib import clock
from backend.monitoring import gauges
from tests import sqlite_memory
from tests.factories import laboratory, notification
from tests.monitoring.conftest import Harness
from tests.monitoring.test_ledger import copy_delivery, move


def measured(database: Database) -> gauges.Depths:
    with database.read() as session:
        return gauges.measure(session)


def test_each_priority_and_status_is_counted_with_the_first_of_it_that_is_due(harness: Harness) -> None:
    harness.accept("S-1", "S-2", "S-3")
    harness.accept("S-4", priority="HIGH")
    move(harness, 1, DeliveryStatus.RETRYING)
    with harness.lab.database.transaction() as session:
        late = clock.now() - timedelta(seconds=90)
        session.execute(update(Delivery).where(Delivery.status == "RETRYING").values(due_at=late))
    found = measured(harness.lab.database)
    assert found.queued == {Priority.HIGH: 1, Priority.NORMAL: 2, Priority.BATCH: 0}
    assert found.retrying == {Priority.HIGH: 0, Priority.NORMAL: 1, Priority.BATCH: 0}
    assert found.oldest_seconds == {Priority.HIGH: 0.0, Priority.NORMAL: 90.0, Priority.BATCH: 0.0}


def test_memory_for_counting_does_not_grow_with_what_waits(database: Database) -> None:
    lab = laboratory(database)
    accept_many([lab.submission(notification("S-1"))], lambda _priorities: None)
    copy_delivery(database, 20_000)
    assert measured(database).waiting == 20_001  # pages that are read are kept, up to a bound of their own
    assert sqlite_memory.needed_for(lambda: measured(database)) < 250_000
