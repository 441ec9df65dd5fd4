"""The ledger is even in every state of every message, and uneven as soon as one is lost."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, func, insert, inspect, literal, select, true, update

from backend.batching import manage
from backend.db.database import Database
from backend.db.models.batches import BatchMember
from backend.db.models.notifications import Delivery, DeliveryStatus, Event, OutboxMessage
from backend.delivery.outcomes import states
from backend.intake.accept import accept_many
from backend.lib import settings
from backend.monitoring import ledger
from backend.registry import templates
from tests import sqlite_memory
from tests.factories import laboratory, notification
from tests.monitoring.conftest import Harness


def move(harness: Harness, count: int, status: DeliveryStatus) -> None:
    """Bring so many deliveries that are not finished to a status."""
    with harness.lab.database.transaction() as session:
        waiting = select(Delivery.id).where(Delivery.status == DeliveryStatus.QUEUED.value).order_by(Delivery.id)
        chosen = session.scalars(waiting.limit(count)).all()
        assert len(chosen) == count
        session.execute(update(Delivery).where(Delivery.id.in_(chosen)).values(status=status.value))


def finish(harness: Harness, *statuses: DeliveryStatus) -> None:
    """Bring the deliveries of the one batch to these statuses, one each."""
    with harness.lab.database.transaction() as session:
        found = session.scalars(select(Delivery).where(Delivery.batch_id.is_not(None)).order_by(Delivery.id)).all()
        for delivery, status in zip(found, statuses, strict=True):
            delivery.status = status.value
        session.flush()
        states.refresh_batches(session, {row.batch_id: None for row in found if row.batch_id is not None})


def lose(harness: Harness) -> None:
    """Delete a delivery behind the application's back."""
    with harness.lab.database.transaction() as session:
        lost = session.scalars(select(Delivery.id).order_by(Delivery.id).limit(1)).one()
        session.execute(delete(OutboxMessage).where(OutboxMessage.delivery_id == lost))
        session.execute(delete(Event).where(Event.delivery_id == lost))
        session.execute(delete(Delivery).where(Delivery.id == lost))


def test_nothing_accepted_is_an_empty_ledger(harness: Harness) -> None:
    assert harness.ledger() == []


def test_every_state_of_a_delivery_has_its_column(harness: Harness) -> None:
    others = [status for status in DeliveryStatus if status is not DeliveryStatus.QUEUED]
    counts = {status: min(count, 2) for count, status in enumerate(others, start=1)}
    accepted = sum(counts.values()) + 1
    harness.accept(*(f"S-{number}" for number in range(accepted)))
    assert harness.today() == {"accepted": accepted, "waiting": accepted}
    expected = {"accepted": accepted, "waiting": 1}
    for status, count in counts.items():
        move(harness, count, status)
        state = ledger.OF_DELIVERY[status]
        expected[state] = expected.get(state, 0) + count
    assert harness.today() == expected


def test_a_message_counts_for_each_address_and_a_repetition_not_at_all(harness: Harness) -> None:
    harness.accept("S-1", recipient=["X_TWO", "X_LAB"])
    harness.accept("S-1", recipient=["X_TWO", "X_LAB"])
    harness.work()
    assert harness.today() == {"accepted": 2, "sent": 2}


def test_a_batch_counts_its_places_from_the_first_member_to_its_end(harness: Harness) -> None:
    harness.buffer("S-1", "S-2", "S-3")
    assert harness.today() == {"accepted": 6, "waiting": 6}
    harness.clock.forward(minutes=20)
    harness.work()
    assert harness.today() == {"accepted": 6, "sent": 6}


def test_a_place_that_is_given_up_is_cancelled(harness: Harness) -> None:
    first, second = harness.buffer("S-1", "S-2", recipient=["X_TWO"])
    manage.remove(harness.lab.service_id, "run-1", UUID(first))
    assert harness.today() == {"accepted": 2, "cancelled": 1, "waiting": 1}
    manage.remove(harness.lab.service_id, "run-1", UUID(second))
    assert harness.today() == {"accepted": 2, "cancelled": 2}


S = DeliveryStatus


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        ((S.QUEUED, S.SENT), "waiting"),
        ((S.SENDING, S.FAILED), "waiting"),
        ((S.SENT, S.DELIVERED), "sent"),
        ((S.DELIVERED, S.DELIVERED), "delivered"),
        ((S.DELIVERED, S.CANCELLED), "delivered"),
        ((S.CANCELLED, S.CANCELLED), "cancelled"),
        ((S.FAILED, S.FAILED), "failed"),
        ((S.SENT, S.FAILED), "failed"),
    ],
)
def test_a_dispatched_batch_is_what_its_deliveries_say(
    harness: Harness, statuses: tuple[DeliveryStatus, DeliveryStatus], state: str
) -> None:
    harness.buffer("S-1", "S-2", "S-3", recipient=["X_TWO"])
    assert manage.flush_now(harness.lab.service_id, "run-1")
    finish(harness, *statuses)
    assert harness.today() == {"accepted": 3, state: 3}


def test_a_batch_that_becomes_no_message_has_failed(harness: Harness) -> None:
    harness.buffer("S-1", "S-2")
    with harness.lab.database.transaction() as session:
        templates.delete(session, harness.lab.service_id, "X_LIST")
    harness.clock.forward(minutes=20)
    harness.work()
    assert harness.today() == {"accepted": 4, "failed": 4}


def test_days_and_services_are_apart(harness: Harness) -> None:
    other = laboratory(harness.lab.database, "Museum")
    harness.accept("S-1", "S-2")
    harness.clock.forward(hours=14, minutes=59, seconds=59)
    harness.buffer("S-3")
    harness.clock.forward(seconds=1)
    harness.accept("S-4")
    harness.lab, mine = other, harness.lab
    harness.accept("S-5", recipient=["M_LAB"], template_id="M_SAMPLE")
    harness.lab = mine
    found = {(entry.service_id, entry.day): (entry.accepted, entry.imbalance) for entry in harness.ledger()}
    assert found == {
        (mine.service_id, date(2026, 3, 2)): (4, 0),
        (mine.service_id, date(2026, 3, 3)): (1, 0),
        (other.service_id, date(2026, 3, 3)): (1, 0),
    }


def test_a_group_that_is_accepted_while_midnight_passes_is_of_one_day(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.clock.forward(hours=14, minutes=59, seconds=59)

    def ticking(_self: object) -> object:
        harness.clock.moment += timedelta(milliseconds=300)
        return harness.clock.moment

    monkeypatch.setattr(type(harness.clock), "__call__", ticking)
    harness.accept("S-1", "S-2", "S-3", recipient=["X_TWO"])
    assert [entry.imbalance for entry in harness.ledger()] == [0]


def test_a_lost_delivery_is_an_imbalance(harness: Harness) -> None:
    harness.accept("S-1", "S-2")
    harness.work()
    lose(harness)
    (entry,) = harness.ledger()
    assert entry.imbalance == 1
    assert entry.describe() == (
        f"service {harness.lab.service_id} on 2026-03-02: "
        "2 accepted ≠ 0 delivered + 1 sent + 0 failed + 0 cancelled + 0 waiting"
    )


def test_a_lost_place_and_a_lost_message_of_a_batch_are_imbalances(harness: Harness) -> None:
    harness.buffer("S-1", "S-2", recipient=["X_LAB"])
    with harness.lab.database.transaction() as session:
        session.execute(delete(BatchMember).where(BatchMember.seq == 2))
    assert [entry.imbalance for entry in harness.ledger()] == [1]
    harness.clock.forward(minutes=20)
    harness.work()
    assert [entry.imbalance for entry in harness.ledger()] == [1]
    lose(harness)
    assert [entry.imbalance for entry in harness.ledger()] == [2]


def test_a_message_that_nobody_was_accepted_for_is_an_imbalance(harness: Harness) -> None:
    harness.accept("S-1")
    with harness.lab.database.transaction() as session:
        row = session.scalars(select(Delivery)).one()
        values = {column.key: getattr(row, column.key) for column in inspect(Delivery).columns if column.key != "id"}
        session.add(Delivery(**values | {"uid": uuid4()}))
    assert [entry.imbalance for entry in harness.ledger()] == [-1]


def test_what_retention_may_have_deleted_is_no_loss(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    harness.accept("S-1")
    harness.work()
    monkeypatch.setenv("CARILLON_RETENTION_DAYS", "1")
    settings.current.cache_clear()
    harness.clock.forward(hours=24, seconds=1)
    harness.accept("S-2")
    with harness.lab.database.transaction() as session:
        session.execute(delete(Event))
        session.execute(delete(OutboxMessage))
        session.execute(delete(Delivery).where(Delivery.status == "SENT"))
    assert [(entry.day, entry.imbalance) for entry in harness.ledger()] == [(date(2026, 3, 3), 0)]


def test_old_messages_are_not_visited(harness: Harness) -> None:
    harness.accept(*(f"S-{number}" for number in range(40)))
    harness.buffer("S-90", "S-91")
    harness.clock.forward(days=10)
    harness.accept("S-100")
    with harness.lab.database.read() as session:
        found = ledger.before(session, harness.clock.moment - timedelta(days=1))
        newest = session.scalars(select(Delivery.id).order_by(Delivery.id.desc()).limit(1)).one()
        last_member = session.scalars(select(BatchMember.id).order_by(BatchMember.id.desc()).limit(1)).one()
    assert found == ledger.Floors(newest, last_member + 1)


@pytest.mark.parametrize("most", [1, 2])
def test_the_figures_are_the_same_however_many_rows_are_counted_at_once(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(ledger, "_MOST_ROWS", most)
    harness.buffer("S-1", "S-2", "S-3")
    harness.accept("S-4", "S-5")
    harness.clock.forward(minutes=20)
    harness.work()
    harness.accept("S-6", "S-7", "S-8")
    assert harness.today() == {"accepted": 11, "sent": 8, "waiting": 3}


def test_memory_for_counting_does_not_grow_with_the_messages(database: Database) -> None:
    lab = laboratory(database)
    accept_many([lab.submission(notification("S-1"))], lambda _priorities: None)
    copy_delivery(database, 20_000)

    def count() -> None:
        with database.read() as session:
            (entry,) = ledger.balance(session, days=1)
        assert entry.sent + entry.waiting == 20_001

    count()  # pages that are read are kept, up to a bound of their own
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "_MOST_ROWS", 1000)
        in_pieces = sqlite_memory.needed_for(count)
    assert in_pieces < 250_000 < sqlite_memory.needed_for(count)


def copy_delivery(database: Database, count: int) -> None:
    """Copy the one delivery so many times."""
    first = select(literal(1).label("number")).cte(recursive=True)
    numbers = first.union_all(select(first.c.number + 1).where(first.c.number < count))
    columns = {column.name: column for column in inspect(Delivery).columns if column.name != "id"}
    copied = select(*(columns | {"uid": func.randomblob(16)}).values()).join(numbers, true())
    with database.transaction() as session:
        session.execute(insert(Delivery).from_select(list(columns), copied))


def test_rows_out_of_order_cause_no_alarm(harness: Harness) -> None:
    """A clock that was ahead for a while numbers later rows before earlier ones."""
    harness.clock.forward(days=1)
    harness.accept(*(f"S-{number}" for number in range(10)))
    harness.clock.forward(days=-1)
    harness.accept(*(f"T-{number}" for number in range(10)))
    harness.clock.forward(days=2)
    harness.accept("U-1")
    with harness.lab.database.read() as session:
        passed_over = ledger.before(session, harness.clock.moment - timedelta(days=1)).delivery
    assert passed_over > 10  # the search by halves is misled, and the count is done again
    assert [(entry.accepted, entry.imbalance) for entry in harness.ledger()] == [(10, 0), (1, 0)]
