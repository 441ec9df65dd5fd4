"""What is scheduled is tried again when its template changes, and what broke is told before it is due."""

import json
from uuid import UUID

from sqlalchemy import select

from backend.accounts import users
from backend.accounts.audit import Actor
from backend.callbacks import endpoints, subscriptions
from backend.db.models.accounts import Service
from backend.db.models.callbacks import CallbackMessage
from backend.db.models.notifications import Delivery, Notification, NotificationStatus
from backend.db.models.registry import Template
from backend.scheduling.cancel import cancel
from tests.scheduling.conftest import Calendar

BROKEN = "<p>{{ nowhere.at_all }}</p>"


def faults(calendar: Calendar) -> list[str | None]:
    """Return what is wrong with each scheduled message."""
    with calendar.lab.database.read() as session:
        wanted = select(Delivery.error).where(Delivery.status == "SCHEDULED").order_by(Delivery.id)
        return list(session.scalars(wanted))


def letters(calendar: Calendar) -> int:
    """Count the installation's own letters."""
    with calendar.lab.database.read() as session:
        other = Notification.service_id != calendar.lab.service_id
        return len(session.scalars(select(Notification.id).where(other)).all())


def test_a_template_that_broke_is_told_before_it_is_due_and_mended_in_time(calendar: Calendar) -> None:
    with calendar.lab.database.transaction() as session:
        person = users.join(session, "ada@lab.example", None)
        users.give_role(session, person, session.get_one(Service, calendar.lab.service_id), "admin")
    one = calendar.accept("S-1", send_at=calendar.at(hours=2))
    two = calendar.accept("S-2", send_at=calendar.at(hours=3))
    calendar.work()
    assert (faults(calendar), letters(calendar)) == ([None, None], 0)
    calendar.lab.template("X_SAMPLE", BROKEN)
    calendar.work()
    assert all("X_SAMPLE, version 2, does not render" in (fault or "") for fault in faults(calendar))
    assert letters(calendar) == 1
    for found in (one, two):
        assert any("could not be sent as things are" in what for what in calendar.told(found))
        assert calendar.report(found).status == NotificationStatus.SCHEDULED
    calendar.work()
    calendar.lab.template("X_SAMPLE", "<p>{{ still.nowhere }}</p>")
    calendar.work()
    calendar.lab.template("X_SAMPLE", "<p>{{ sample_id }}</p>")
    calendar.work()
    assert faults(calendar) == [None, None]
    assert "The template X_SAMPLE renders again." in calendar.told(one)
    calendar.clock.forward(hours=3)
    calendar.work()
    assert {calendar.report(found).status for found in (one, two)} == {"SENT"}


def test_what_is_still_broken_fails_alone_and_breaks_no_batch(calendar: Calendar) -> None:
    one = calendar.accept_batched("S-1", send_at=calendar.at(hours=1))
    calendar.lab.template("X_LIST", "{% for field in fields %}{{ field.other_id }}{% endfor %}", format="text")
    calendar.clock.forward(hours=1)
    calendar.work()
    assert calendar.report(one).status == "FAILED"
    assert any("does not render" in what for what in calendar.told(one))
    calendar.check_ledger()


def test_a_template_that_is_gone_is_told_once(calendar: Calendar) -> None:
    one = calendar.accept(send_at=calendar.at(hours=1))
    with calendar.lab.database.transaction() as session:
        session.scalars(select(Template).where(Template.identifier == "X_SAMPLE")).one().deleted_at = calendar.clock()
    calendar.work()
    calendar.work()
    assert [what for what in calendar.told(one) if "no longer registered" in what] == [
        "It could not be sent as things are: The template X_SAMPLE is no longer registered."
    ]
    calendar.clock.forward(hours=1)
    calendar.work()
    assert calendar.report(one).status == "FAILED"
    calendar.check_ledger()


def test_the_client_hears_what_is_at_risk_and_what_was_cancelled(calendar: Calendar) -> None:
    lab = calendar.lab
    with lab.database.transaction() as session:
        url = "https://lims.lab.example/carillon"
        endpoints.register(session, lab.client.id, lab.service_id, url, Actor("command", "tests"))
    subscriptions.clear()
    one = calendar.accept(send_at=calendar.at(hours=2))
    lab.template("X_SAMPLE", BROKEN)
    calendar.work()
    cancel(lab.service_id, UUID(one), Actor("client", "lims-1"))
    with lab.database.read() as session:
        messages = session.scalars(select(CallbackMessage).order_by(CallbackMessage.id)).all()
    assert [message.type for message in messages] == ["notification.at_risk", "notification.cancelled"]
    told = json.loads(messages[0].payload)["data"]
    assert (told["notification_id"], told["status"]) == (one, "SCHEDULED")
    assert "does not render" in told["error"]
    subscriptions.clear()
