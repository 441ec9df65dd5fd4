"""Ten and a hundred times as many messages of one notification: what each of them that ends costs stays the same."""

from typing import Any

import pytest
from sqlalchemy import select, text, update

from backend.batching import flush
from backend.db.database import Database
from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.delivery.outcomes import states
from backend.intake.accept import Accepted, accept_many
from tests import growth
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification
from tests.growth import counted

COUNTS = (40, 400, 4_000)
# So many of them end one by one, after a first one by which it shows how many there are.
SOME = 20
# Hundreds of steps for each message or batch that ends.
MOST_STEPS = 40
_DELIVERIES = """
INSERT INTO deliveries
    (uid, notification_id, service_id, priority, channel_index, type, template_version_id, recipients, address,
     status, attempts, due_at, created_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :more)
SELECT randomblob(16), notification_id, service_id, priority, channel_index, type, template_version_id, recipients,
       i || address, status, attempts, due_at, created_at
FROM n CROSS JOIN (SELECT * FROM deliveries WHERE notification_id = :id LIMIT 1)
"""


@pytest.fixture
def lab(database: Database, moving_clock: MovableClock) -> Laboratory:
    made = laboratory(database)
    made.template("X_LIST", "{% for one in fields %}<p>{{ one.sample_id }}</p>{% endfor %}")
    return made


def accepted(lab: Laboratory, name: str, **changes: Any) -> int:
    (outcome,) = accept_many([lab.submission(notification(name, **changes))], lambda _new: None)
    assert isinstance(outcome, Accepted), outcome
    with lab.database.read() as session:
        return session.scalars(select(Notification.id).order_by(Notification.id.desc())).first() or 0


def status(lab: Laboratory, identity: int) -> str:
    with lab.database.read() as session:
        return session.scalars(select(Notification.status).where(Notification.id == identity)).one()


def end(lab: Laboratory, deliveries: list[int], identity: int, how: DeliveryStatus = DeliveryStatus.SENT) -> None:
    with lab.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.id.in_(deliveries)).values(status=how.value))
        states.refresh(session, {identity})


def deliveries(lab: Laboratory, identity: int) -> list[int]:
    with lab.database.read() as session:
        own = select(Delivery.id).where(Delivery.notification_id == identity)
        return list(session.scalars(own.order_by(Delivery.id)))


def large(lab: Laboratory, many: int) -> int:
    """Store a notification of so many messages and return its row."""
    identity = accepted(lab, f"S-{many}")
    with lab.database.transaction() as session:
        session.execute(text(_DELIVERIES), {"id": identity, "more": many - 1})
    return identity


def test_messages_that_end_one_by_one_are_not_all_counted_each_time(lab: Laboratory) -> None:
    for many in COUNTS:
        identity = large(lab, many)
        first, *rest = deliveries(lab, identity)
        end(lab, [first], identity)
        with counted(lab.database) as steps:
            for one in rest[:SOME]:
                end(lab, [one], identity)
        assert steps.hundreds < MOST_STEPS * SOME, f"{steps.hundreds / SOME:.0f} for each of {many}"
        end(lab, rest[:-1], identity)
        assert status(lab, identity) == "DISPATCHED"
        end(lab, rest[-1:], identity)
        assert status(lab, identity) == "SENT"


def test_whatever_order_they_end_in_and_begin_again(lab: Laboratory) -> None:
    identity = large(lab, 40)
    found = deliveries(lab, identity)
    for one in reversed(found):
        assert status(lab, identity) == "DISPATCHED"
        end(lab, [one], identity)
    assert status(lab, identity) == "SENT"
    end(lab, found[:1], identity, DeliveryStatus.QUEUED)
    assert status(lab, identity) == "DISPATCHED"
    end(lab, found[5:9], identity, DeliveryStatus.FAILED)
    assert status(lab, identity) == "DISPATCHED"
    end(lab, found[:1], identity, DeliveryStatus.DELIVERED)
    assert status(lab, identity) == "PARTIAL"


def buffered(lab: Laboratory, many: int) -> tuple[int, list[int]]:
    """Store a notification that is in so many batches; return its row and theirs."""
    name = f"run-{many}"
    identity = accepted(lab, f"S-{many}", priority="BATCH", aggregator_id=name, template_id="X_LIST")
    with lab.database.transaction() as session:
        session.execute(text(growth.MORE_BATCHES), {"more": many - 1, "name": name})
        session.execute(text(growth.MEMBERS_OF_MORE))
    with lab.database.read() as session:
        own = select(Batch.id).where(Batch.aggregator_id == name).order_by(Batch.id)
        return identity, list(session.scalars(own))


def test_batches_of_one_notification_that_go_out_one_by_one(lab: Laboratory) -> None:
    for many in COUNTS:
        identity, (first, *rest) = buffered(lab, many)
        dispatch(lab, first)
        with counted(lab.database) as steps:
            for one in rest[:SOME]:
                dispatch(lab, one)
        assert status(lab, identity) == "BUFFERED"
        assert steps.hundreds < MOST_STEPS * SOME, f"{steps.hundreds / SOME:.0f} for each of {many}"
        become(lab, rest[SOME:-1], BatchStatus.DISPATCHED)
        dispatch(lab, rest[-1])
        assert status(lab, identity) == "DISPATCHED"
        sent(lab, first)
        with counted(lab.database) as steps:
            for one in rest[:SOME]:
                sent(lab, one)
        assert status(lab, identity) == "DISPATCHED"
        assert steps.hundreds < MOST_STEPS * SOME, f"{steps.hundreds / SOME:.0f} for each of {many}"
        become(lab, rest[SOME:-1], BatchStatus.SENT)
        sent(lab, rest[-1])
        assert status(lab, identity) == "SENT"


def dispatch(lab: Laboratory, batch_id: int) -> None:
    with lab.database.transaction() as session:
        assert flush.dispatch(session, batch_id, demanded=True)


def sent(lab: Laboratory, batch_id: int) -> None:
    with lab.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.batch_id == batch_id).values(status=DeliveryStatus.SENT.value))
        states.refresh_batches(session, {batch_id: None})


def become(lab: Laboratory, batches: list[int], status: BatchStatus) -> None:
    """Let many batches have come so far, with what follows from it for their members."""
    with lab.database.transaction() as session:
        session.execute(update(Batch).where(Batch.id.in_(batches)).values(status=status.value))
        states.follow(session, batches)


def test_both_databases_say_the_same_of_large_notifications(any_database: Database, moving_clock: MovableClock) -> None:
    lab = laboratory(any_database)
    lab.template("X_LIST", "{% for one in fields %}<p>{{ one.sample_id }}</p>{% endfor %}")
    names = [f"X_R{number}" for number in range(25)]
    for name in names:
        lab.recipient(name, ("EMAIL", f"{name}@lab.example"))
    identity = accepted(lab, "S-1", recipient=names)
    found = deliveries(lab, identity)
    for one in found:
        assert status(lab, identity) == "DISPATCHED"
        end(lab, [one], identity)
    assert status(lab, identity) == "SENT"
    buffered = {"priority": "BATCH", "aggregator_id": "run-1", "template_id": "X_LIST"}
    identity = accepted(lab, "S-2", recipient=names, **buffered)
    with any_database.read() as session:
        batches = list(session.scalars(select(Batch.id).order_by(Batch.id)))
    assert len(batches) == 25
    for act, before, after in ((dispatch, "BUFFERED", "DISPATCHED"), (sent, "DISPATCHED", "SENT")):
        for one in batches:
            assert status(lab, identity) == before
            act(lab, one)
        assert status(lab, identity) == after
