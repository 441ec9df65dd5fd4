"""What pages ask of the database answers alike on SQLite and PostgreSQL."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select, update

from backend.accounts.audit import Actor
from backend.batching import manage, report
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, Notification
from backend.delivery import again
from backend.delivery.outcomes.unknown_outcome import Decision
from backend.lib import clock
from backend.monitoring import usage
from backend.reports import batch_pages, failing, first_steps, messages, notifications, particulars
from backend.reports.notifications import Filter
from backend.search import query
from tests.monitoring.conftest import Harness

_ADA = Actor("person", "ada@lab.example")


def fail(harness: Harness, reason: str) -> None:
    """Let every delivery that waits fail."""
    with harness.lab.database.transaction() as session:
        session.execute(update(Delivery).where(Delivery.status == "QUEUED").values(status="FAILED", error=reason))
        session.execute(update(Notification).where(Notification.status == "DISPATCHED").values(status="FAILED"))


def test_lists_searches_and_counts(harness: Harness) -> None:
    service = harness.lab.service_id
    sent = [UUID(one) for one in harness.accept("S-1", "S-2")]
    harness.work()
    harness.clock.forward(days=1)
    failed = UUID(harness.accept("S-3", recipient=["X_TWO"])[0])
    fail(harness, "550 no such user")
    with harness.lab.database.read() as session:
        first = notifications.page(session, service, Filter(), before=None, size=2)
        second = notifications.page(session, service, Filter(), before=first.older, size=2)
        assert [line.uid for line in first.lines + second.lines] == [failed, *sent[::-1]]
        assert second.older is None
        today = clock.now() - timedelta(hours=12)
        for wanted in (Filter(recipient="X_TWO"), Filter(created_from=today), Filter(status="FAILED", channel="EMAIL")):
            assert [line.uid for line in notifications.page(session, service, wanted, before=None).lines] == [failed]
        assert {name: count for name, count in notifications.counts(session, service).items() if count} == {
            "SENT": 2,
            "FAILED": 1,
        }
        delivery = session.scalars(select(Delivery.uid).order_by(Delivery.id)).first()
        for text, found in ((str(failed)[:8], failed), (str(delivery), sent[0])):
            wanted = Filter(query=query.read(text))
            assert [line.uid for line in notifications.page(session, service, wanted, before=None).lines] == [found]
        days = usage.of_service(session, service)
    assert [dict(day.statuses) for day in days[-2:]] == [{"SENT": 2}, {"FAILED": 1}]
    assert [dict(day.channels) for day in days[-2:]] == [{"EMAIL": 2}, {"EMAIL": 2}]


def test_what_fails_is_told_once_for_each_reason_and_recipient(harness: Harness) -> None:
    harness.accept("S-1", "S-2", recipient=["X_TWO"])
    fail(harness, "550 no such user 4711000")
    harness.buffer("S-3", recipient=["X_LAB"])
    manage.flush_now(harness.lab.service_id, "run-1", by=_ADA)
    harness.work()
    with harness.lab.database.read() as session:
        troubles = failing.now(session, harness.lab.service_id)
        assert [(one.state, one.recipient, one.count) for one in troubles] == [("FAILED", "X_TWO", 4)]
        steps = first_steps.of_service(session, harness.lab.service_id)
    assert (steps.recipient, steps.template, steps.notification, steps.done) == ("X_LAB", "X_SAMPLE", True, True)


def test_one_notification_is_sent_again_cancelled_and_decided(harness: Harness) -> None:
    service = harness.lab.service_id
    uid = UUID(harness.accept("S-1")[0])
    fail(harness, "550 no such user")
    harness.clock.forward(days=2)
    assert again.send_again(service, uid, _ADA).queued == 1
    assert again.send_again(service, uid, _ADA).queued == 0
    with harness.lab.database.read() as session:
        found = particulars.of(session, service, uid)
        row = session.scalars(select(Delivery)).one()
    assert found is not None
    assert (found.failed, found.waiting, found.report.status) == (0, 1, "DISPATCHED")
    assert (row.attempts, row.requeued_at, row.error) == (0, clock.now(), None)
    assert again.cancel(service, uid, _ADA) == 1
    with harness.lab.database.transaction() as session:
        session.execute(update(Delivery).values(status="SENDING", doubt="person"))
    decided = [again.decide(service, row.uid, Decision.MARK_SENT, _ADA) for _ in range(2)]
    assert decided == [True, False]
    with harness.lab.database.read() as session:
        found = particulars.of(session, service, uid)
        message = messages.of_delivery(session, service, row.uid)
        assert messages.of_delivery(session, service + 1, row.uid) is None
        assert particulars.of(session, service + 1, uid) is None
    assert found is not None
    assert [step.kind for step in found.steps] == ["begun", "again", "cancelled", "decided"]
    assert message is not None
    assert "Sample S-1" in (message.html or "")


def test_one_batch_and_those_that_went_lately(harness: Harness) -> None:
    service = harness.lab.service_id
    uids = [UUID(one) for one in harness.buffer("S-1", "S-2", recipient=["X_TWO"])]
    with harness.lab.database.read() as session:
        (row,) = report.next_to_go(session, service)
        assert batch_pages.lately(session, service) == []
        page = batch_pages.one(session, service, UUID(row.batch_id))
        assert batch_pages.one(session, service + 1, UUID(row.batch_id)) is None
    assert page is not None
    assert [member.notification_uid for member in page.members] == uids
    manage.flush_now(service, "run-1", only=UUID(row.batch_id), by=_ADA)
    fail(harness, "550 no such user")
    with harness.lab.database.transaction() as session:
        session.execute(update(Batch).values(status="FAILED"))
    assert again.send_again(service, UUID(row.batch_id), _ADA, of_batch=True).queued == 2
    assert again.cancel(service, UUID(row.batch_id), _ADA, of_batch=True) == 2
    with harness.lab.database.read() as session:
        assert report.next_to_go(session, service) == []
        (gone,) = batch_pages.lately(session, service)
        page = batch_pages.one(session, service, UUID(row.batch_id), after=1)
    assert gone.status == "CANCELLED"
    assert page is not None
    assert [member.sequence for member in page.members] == [2]
