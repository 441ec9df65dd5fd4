"""What is written down for client systems: with the change itself, for those who want to hear, and nothing else."""

from uuid import UUID

import pytest
from sqlalchemy import event, func, select, update

from backend.accounts import clients
from backend.batching import manage
from backend.callbacks import housekeeping, subscriptions, tasks
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.callbacks import CallbackMessage
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.delivery.outcomes import states
from tests import factories
from tests.callbacks.conftest import Line


def set_deliveries(line: Line, notification_id: str, *statuses: DeliveryStatus, **values: object) -> None:
    """Give the deliveries of a notification these statuses, and let it follow."""
    with line.database.transaction() as session:
        whole = session.scalars(select(Notification).where(Notification.uid == UUID(notification_id))).one()
        rows = session.scalars(select(Delivery).where(Delivery.notification_id == whole.id).order_by(Delivery.id)).all()
        for row, status in zip(rows, statuses, strict=True):
            session.execute(update(Delivery).where(Delivery.id == row.id).values(status=status.value, **values))
        states.refresh(session, {whole.id})


def written(database: Database) -> int:
    with database.read() as session:
        return session.scalar(select(func.count(CallbackMessage.id))) or 0


def test_a_sent_notification_is_told_with_what_its_client_needs(each_line: Line) -> None:
    line = each_line
    line.register()
    notification_id = line.accept()
    assert line.messages() == []
    line.send()
    (message,) = line.messages()
    assert (message.type, message.status, message.attempts) == ("notification.sent", "PENDING", 0)
    assert message.notification_id == notification_id
    assert len(message.payload.encode()) < 20_000
    line.post()
    (posted,) = line.receiver.posted
    assert posted.path == "/callbacks?key=s3cr3t"
    assert posted.read() == {
        "type": "notification.sent",
        "timestamp": "2026-03-02T09:00:00.000000Z",
        "data": {
            "notification_id": notification_id,
            "status": "SENT",
            "priority": "NORMAL",
            "aggregator_id": None,
            "links": {"self": f"http://127.0.0.1:8000/notifications/v1/{notification_id}"},
        },
    }


def test_every_later_status_is_told_and_a_failed_delivery_once(each_line: Line) -> None:
    line = each_line
    line.lab.recipient("X_TWO", ("EMAIL", "one@lab.example"), ("EMAIL", "two@lab.example"))
    line.register()
    notification_id = line.accept(recipient=["X_TWO"])
    sent, delivered, failed = DeliveryStatus.SENT, DeliveryStatus.DELIVERED, DeliveryStatus.FAILED
    set_deliveries(line, notification_id, sent, DeliveryStatus.RETRYING)
    assert line.messages() == []  # not all are through
    set_deliveries(line, notification_id, sent, failed, error="Mailbox unknown.")
    assert [one.type for one in line.messages()] == ["delivery.failed", "notification.partial"]
    set_deliveries(line, notification_id, delivered, failed)
    set_deliveries(line, notification_id, failed, failed)
    set_deliveries(line, notification_id, DeliveryStatus.CANCELLED, DeliveryStatus.CANCELLED)
    set_deliveries(line, notification_id, delivered, delivered)
    set_deliveries(line, notification_id, delivered, delivered)
    assert [one.type for one in line.messages()][2:] == [
        "delivery.failed",
        "notification.failed",
        "notification.cancelled",
        "notification.delivered",
    ]
    assert len({one.id for one in line.messages()}) == 6
    line.post()
    data = next(one for one in line.receiver.posted if one.type == "delivery.failed").read()["data"]
    assert (data["channel"], data["recipients"], data["error"]) == ("EMAIL", ["X_TWO"], "Mailbox unknown.")
    assert "lab.example" not in line.receiver.posted[0].body.decode()


def test_the_members_of_a_batch_are_told_one_by_one(each_line: Line) -> None:
    line = each_line
    line.lab.template("X_BATCH", factories.BATCH_HTML)
    line.register()
    batch = {"priority": "BATCH", "aggregator_id": "run-1", "template_id": "X_BATCH"}
    identities = {line.accept(fields={"sample-id": str(number)}, **batch) for number in range(5)}
    assert line.messages() == []
    manage.flush_now(line.lab.service_id, "run-1")
    line.send()
    assert {one.notification_id for one in line.messages() if one.type == "notification.sent"} == identities
    assert len(line.messages()) == 5


def test_a_change_that_is_rolled_back_was_never_told(line: Line) -> None:
    line.register()
    notification_id = line.accept()
    with line.database.transaction() as session:
        whole = session.scalars(select(Notification.id).where(Notification.uid == UUID(notification_id))).one()
        session.execute(update(Delivery).where(Delivery.notification_id == whole).values(status="SENT"))
        states.refresh(session, {whole})
        assert session.scalar(select(func.count(CallbackMessage.id))) == 1
        session.rollback()
    assert written(line.database) == 0


def test_only_the_client_that_sent_it_hears_of_it(line: Line) -> None:
    other = factories.laboratory(line.database, "Other")
    line.register()
    with line.database.transaction() as session:
        owner = session.get_one(Service, line.lab.service_id)
        sibling = clients.create_client(session, owner, "sibling")
    line.lab.client, mine = sibling, line.lab.client
    line.accept("by the sibling")
    line.lab, lab = other, line.lab
    line.accept("by another service", recipient=["O_LAB"], template_id="O_SAMPLE")
    line.send()
    line.lab = lab
    line.lab.client = mine
    assert written(line.database) == 0


def test_a_client_that_was_revoked_hears_no_more(line: Line) -> None:
    line.register()
    line.accept("before")
    line.send()
    line.accept("after")
    with line.database.transaction() as session:
        clients.revoke_client(session, clients.by_client_id(session, line.lab.client.client_id))  # type: ignore[arg-type]
    line.send()
    assert written(line.database) == 1
    assert line.post() == 0


def test_without_an_address_nothing_is_asked_of_the_database(line: Line) -> None:
    notification_id = line.accept()
    with line.database.read() as session:
        whole = session.scalars(select(Notification.id).where(Notification.uid == UUID(notification_id))).one()
    assert subscriptions.wanted() is False
    statements: list[str] = []
    with line.database.transaction() as session:
        session.connection()
        event.listen(line.database.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        states.refresh(session, {whole})
    assert statements[0].lstrip().startswith(("WITH", "UPDATE"))
    assert not any("callback" in statement for statement in statements)


def test_what_changed_before_all_processes_knew_of_the_address_is_told_later_and_once(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.accept("before")
    line.send()
    line.clock.forward(seconds=1)
    line.register()
    notification_id = line.accept("after")
    with monkeypatch.context() as unaware:
        unaware.setattr(subscriptions, "wanted", lambda: False)
        line.send()
    assert line.messages() == []
    tasks.use(line.webhook_sender)
    try:
        for _ in range(3):
            housekeeping.reap.run()
            assert line.webhook_sender.wait(20)
            line.clock.forward(seconds=1)
    finally:
        tasks.use(None)
    assert [one.notification_id for one in line.messages()] == [notification_id]
    assert len(line.receiver.posted) == 1
