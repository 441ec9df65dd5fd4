"""What speaks against what was said before: news that is taken back, answers while a step is on its way, cancelling."""

from uuid import UUID

from sqlalchemy import select, update

from backend.accounts.audit import Actor
from backend.channels.base import Channel, ReceiptEvent, ReceiptKind
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.obligations import Obligation
from backend.delivery.outcomes import receipts
from backend.intake import escalation
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted
from backend.monitoring import obligation_ledger
from backend.obligations import goals
from backend.obligations.goals import Acknowledgement
from backend.obligations.report import ObligationReport
from backend.scheduling.cancel import cancel
from tests.factories import notification
from tests.obligations.test_steps import owing
from tests.scheduling.conftest import Calendar, calendar

__all__ = ["calendar"]

MAIL = notification()["channels"][0]


def owed(calendar: Calendar, uid: str) -> ObligationReport:
    found = calendar.report(uid).obligation
    assert found is not None
    return found


def step(calendar: Calendar, uid: str, number: int) -> str:
    found = owed(calendar, uid).steps[number].notification_id
    assert found is not None
    return found


def submit(calendar: Calendar, body: object) -> str:
    (outcome,) = accept_many([calendar.lab.submission(body)], lambda _new: None)
    assert isinstance(outcome, Accepted), outcome
    return outcome.notification_id


def begin(calendar: Calendar, until: str, **changes: object) -> str:
    calendar.lab.recipient("X_CALL", ("EMAIL", "call@lab.example"))
    later = {"after": "30m", "channels": [MAIL | {"recipient": ["X_CALL"]}]}
    uid = submit(calendar, owing(later, until=until, **changes))
    calendar.work()
    return uid


def hear(calendar: Calendar, uid: str, kind: ReceiptKind) -> None:
    with calendar.lab.database.read() as session:
        wanted = select(Delivery.uid).join(Notification).where(Notification.uid == UUID(uid))
        delivery = str(session.scalars(wanted).one())
    event = ReceiptEvent(
        provider_message_id="", event_id=f"{kind}-{delivery}", kind=kind, detail="", delivery_id=delivery, at=None,
        address=None, code=None,
    )  # fmt: skip
    receipts.receive("ses", [event], b"")


def balanced(calendar: Calendar) -> bool:
    with calendar.lab.database.read() as session:
        return all(not entry.imbalance and entry.opened for entry in obligation_ledger.balance(session))


def test_what_comes_back_after_it_was_reported_as_delivered_is_brought_before_a_person(calendar: Calendar) -> None:
    for kind in (ReceiptKind.BOUNCED, ReceiptKind.FAILED, ReceiptKind.REJECTED):
        uid = begin(calendar, "delivered", subject=kind.value)
        hear(calendar, uid, ReceiptKind.DELIVERED)
        assert owed(calendar, uid).state == "MET"
        hear(calendar, uid, kind)
        found = owed(calendar, uid)
        assert (found.state, found.met_by, found.met_through, found.next_at) == ("WORKLIST", None, None, None)
        assert "What had been reported as delivered has come back: put on the worklist of the service" in calendar.told(
            uid
        )
        assert balanced(calendar)
        with calendar.lab.database.transaction() as session:
            given = Acknowledgement("Ada", "PORTAL")
            assert goals.acknowledge(session, calendar.lab.service_id, UUID(uid), given)
        calendar.lab.recipient("X_LAB", ("EMAIL", f"after-{kind}@lab.example"))  # the other one is suppressed by now


def test_a_complaint_or_another_message_that_arrived_leaves_it_met(calendar: Calendar) -> None:
    complained = begin(calendar, "delivered", subject="One")
    hear(calendar, complained, ReceiptKind.DELIVERED)
    hear(calendar, complained, ReceiptKind.COMPLAINED)
    assert owed(calendar, complained).state == "MET"


def test_a_step_that_is_on_its_way_does_not_leave_after_somebody_has_answered(calendar: Calendar) -> None:
    uid = begin(calendar, "acknowledged")
    calendar.clock.forward(minutes=30)
    escalation.escalate.run()
    mail = step(calendar, uid, 1)
    with calendar.lab.database.transaction() as session:  # as after an attempt that failed for the moment
        own = select(Notification.id).where(Notification.uid == UUID(mail)).scalar_subquery()
        session.execute(update(Delivery).where(Delivery.notification_id == own).values(status="RETRYING", attempts=1))
        goals.acknowledge(session, calendar.lab.service_id, UUID(uid), Acknowledgement("Ada", "API"))
    calendar.work()
    report = calendar.report(mail)
    assert (report.status, calendar.deliveries(mail)) == ("CANCELLED", [("call@lab.example", "CANCELLED")])
    assert goals.NEEDLESS in [event.what for event in report.events][-1]
    calendar.check_ledger()


def test_what_is_cancelled_channel_after_channel_and_then_whole_owes_nothing(calendar: Calendar) -> None:
    by, service = Actor("person", "ada@lab.example"), calendar.lab.service_id
    uid = submit(calendar, owing({"after": "30m", "channels": [MAIL]}))
    assert cancel(service, UUID(uid), by, channel=Channel.EMAIL) == 1
    assert owed(calendar, uid).state == "OPEN"
    assert cancel(service, UUID(uid), by) == 0
    assert (owed(calendar, uid).state, owed(calendar, uid).closed_by) == ("CLOSED", "ada@lab.example")
    assert cancel(service, UUID(uid), by) == 0
    with calendar.lab.database.read() as session:
        assert session.scalars(select(Obligation.state)).all() == ["CLOSED"]
