"""Cancelling what has not left, whole or by channel, and what happens when it leaves at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.accounts.audit import Actor
from backend.channels.base import Channel
from backend.db.models.audit import AuditEntry
from backend.db.models.notifications import OutboxMessage
from backend.lib.problems import Problem
from backend.scheduling import tasks
from backend.scheduling.cancel import cancel
from tests.factories import notification
from tests.scheduling.conftest import Calendar

LIMS = Actor("client", "lims-1")


def stop(calendar: Calendar, notification_id: str, channel: Channel | None = None) -> int:
    """Cancel, and return how many messages that were."""
    return cancel(calendar.lab.service_id, UUID(notification_id), LIMS, channel=channel)


def two_channels(calendar: Calendar, **changes: object) -> str:
    """Send one notification by mail and by Slack."""
    calendar.lab.recipient("X_LAB", ("EMAIL", "lab@lab.example"), ("SLACK", "#lab"))
    (mail,) = notification()["channels"]
    return calendar.accept(channels=[mail, mail | {"type": "SLACK"}], **changes)


def test_what_is_scheduled_is_cancelled_as_a_whole_once(calendar: Calendar) -> None:
    one = calendar.accept(send_at=calendar.at(hours=1))
    assert (stop(calendar, one), stop(calendar, one)) == (1, 0)
    assert calendar.report(one).status == "CANCELLED"
    assert "Cancelled for lab@lab.example: asked for by lims-1." in calendar.told(one)
    calendar.clock.forward(hours=2)
    calendar.work()
    assert calendar.report(one).status == "CANCELLED"
    with calendar.lab.database.read() as session:
        assert session.scalars(select(OutboxMessage.id)).all() == []
        noted = select(AuditEntry.actor, AuditEntry.detail).where(AuditEntry.action == "notification.cancelled")
        assert [tuple(row) for row in session.execute(noted.order_by(AuditEntry.id))] == [
            ("lims-1", {"messages": 1, "channel": None})
        ]
    calendar.check_ledger()


def test_one_channel_is_cancelled_and_the_other_goes(calendar: Calendar) -> None:
    one = two_channels(calendar, send_at=calendar.at(hours=1))
    assert stop(calendar, one, Channel.SLACK) == 1
    assert calendar.report(one).status == "SCHEDULED"
    calendar.clock.forward(hours=1)
    calendar.work()
    assert calendar.report(one).status == "SENT"
    assert sorted(calendar.deliveries(one)) == [("#lab", "CANCELLED"), ("lab@lab.example", "SENT")]
    assert stop(calendar, one, Channel.SLACK) == 0
    with pytest.raises(Problem) as left:
        stop(calendar, one, Channel.EMAIL)
    assert left.value.code == "already_sent"
    with pytest.raises(Problem) as unknown:
        stop(calendar, one, Channel.SMS)
    assert unknown.value.code == "invalid_request"


def test_what_has_partly_left_loses_the_rest(calendar: Calendar) -> None:
    one = two_channels(calendar)
    assert stop(calendar, one, Channel.SLACK) == 1
    calendar.work()
    assert stop(calendar, one) == 0
    assert calendar.report(one).status == "SENT"


def test_a_place_in_a_batch_is_given_up(calendar: Calendar) -> None:
    one, other = calendar.accept_batched("S-1"), calendar.accept_batched("S-2")
    late = calendar.accept_batched("S-3", send_at=calendar.at(hours=1))
    assert (stop(calendar, one), stop(calendar, late), stop(calendar, one)) == (1, 1, 0)
    assert "Cancelled and taken out of its batch: asked for by lims-1." in calendar.told(one)
    assert "Cancelled for X_LAB: asked for by lims-1." in calendar.told(late)
    calendar.clock.forward(hours=2)
    calendar.work()
    assert [calendar.report(found).status for found in (one, other, late)] == ["CANCELLED", "SENT", "CANCELLED"]
    with pytest.raises(Problem) as left:
        stop(calendar, other)
    assert left.value.code == "already_sent"
    calendar.check_ledger()


def test_what_was_refused_has_nothing_to_be_cancelled(calendar: Calendar) -> None:
    outcome = calendar.submit(template_id="X_UNKNOWN")
    with pytest.raises(Problem, match="was refused"):
        stop(calendar, outcome.notification_id or "")


def test_cancelling_and_releasing_at_once_leave_each_in_one_state(calendar: Calendar) -> None:
    ones = [calendar.accept(f"S-{number}", send_at=calendar.at(minutes=1)) for number in range(15)]
    ones += [calendar.accept_batched(f"B-{number}", send_at=calendar.at(minutes=1)) for number in range(15)]
    calendar.clock.forward(minutes=1)
    with ThreadPoolExecutor(6) as workers:
        released = [workers.submit(tasks.release_due.run) for _ in range(3)]
        stopped = [workers.submit(stop, calendar, one) for one in ones]
        assert {done.result() for done in stopped} == {1}
        for done in released:
            done.result()
    calendar.clock.forward(hours=1)
    calendar.work()
    assert {calendar.report(one).status for one in ones} == {"CANCELLED"}
    calendar.check_ledger()
