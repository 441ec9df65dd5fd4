"""Ten and a hundred times as many messages: what each change of status writes down for a client stays as little."""

from uuid import UUID

from sqlalchemy import select, text

from backend.db.models.notifications import DeliveryStatus, Notification
from backend.delivery.outcomes import states
from tests.callbacks.conftest import Line
from tests.callbacks.test_emit import written
from tests.growth import Cost, measured

SECONDS, STATEMENTS = 3.0, 15
_DELIVERIES = """
INSERT INTO deliveries
    (uid, notification_id, service_id, priority, channel_index, type, template_version_id, recipients, address,
     status, attempts, due_at, created_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :more)
SELECT randomblob(16), notification_id, service_id, priority, channel_index, type, template_version_id, recipients,
       i || address, status, attempts, due_at, created_at
FROM n CROSS JOIN (SELECT * FROM deliveries WHERE notification_id = :id LIMIT 1)
"""
_FAIL = """
UPDATE deliveries SET status = 'FAILED', error = 'told at length' WHERE id IN
    (SELECT id FROM deliveries WHERE notification_id = :id AND status = 'QUEUED' ORDER BY id LIMIT :some)
"""


def sent(line: Line, many: int) -> int:
    """Accept a notification of so many messages and return its row."""
    uid = UUID(line.accept(f"S-{many}"))
    with line.database.transaction() as session:
        identity = session.scalars(select(Notification.id).where(Notification.uid == uid)).one()
        session.execute(text(_DELIVERIES), {"id": identity, "more": many - 1})
    return identity


def fail(line: Line, identity: int, some: int) -> Cost:
    """Let so many more of its messages fail, and measure that."""

    def fail_and_tell() -> None:
        with line.database.transaction() as session:
            session.execute(text(_FAIL), {"id": identity, "some": some})
            states.refresh(session, {identity})

    return measured(line.database, fail_and_tell)[0]


def test_ten_thousand_messages_that_fail_at_once_are_each_told_once(line: Line) -> None:
    line.register()
    for many in (100, 1_000, 10_000):
        identity, before = sent(line, many), written(line.database)
        cost = fail(line, identity, many)
        assert written(line.database) - before == many + 1
        assert cost.statements <= STATEMENTS
        assert cost.seconds < SECONDS


def test_what_was_told_is_not_written_anew_with_each_failure(line: Line) -> None:
    line.register()
    for many in (20, 200, 2_000):
        identity, before = sent(line, many), written(line.database)
        fail(line, identity, many // 2)
        cost = fail(line, identity, 1)
        assert written(line.database) - before == many // 2 + 1
        assert cost.sets <= STATEMENTS
        assert cost.seconds < SECONDS


def test_a_failure_says_why_and_is_told_whatever_else_changes(line: Line) -> None:
    line.register()
    identity = sent(line, 3)
    fail(line, identity, 1)
    with line.database.transaction() as session:
        session.execute(
            text("UPDATE deliveries SET status = :sent WHERE status = 'QUEUED'"), {"sent": DeliveryStatus.SENT.value}
        )
        states.refresh(session, {identity})
    assert [one.type for one in line.messages()] == ["delivery.failed", "notification.partial"]
