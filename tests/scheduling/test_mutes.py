"""Mutes: what is silenced waits and is not lost, and what is too old by the end is accounted for."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backend.db.models.notifications import OutboxMessage
from backend.db.models.obligations import Obligation
from backend.intake import content, escalation, explain
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted
from backend.lib import clock
from backend.lib.problems import Problem
from backend.obligations import goals
from backend.obligations.goals import Acknowledgement
from backend.registry import sending_rules
from backend.registry.sending import Subject
from backend.registry.sending_shapes import MuteShape
from tests.factories import notification as body
from tests.scheduling.conftest import Calendar

TEMPLATE, RECIPIENT = Subject("template", "X_SAMPLE"), Subject("recipient", "X_LAB")


def mute(calendar: Calendar, subject: Subject, *, hours: float, **more: Any) -> None:
    """Silence a subject for so many hours."""
    given = MuteShape(until=clock.now() + timedelta(hours=hours), reason="The freezers are being moved", **more)
    with calendar.lab.database.transaction() as session:
        sending_rules.mute(session, calendar.lab.service_id, subject, given, "ada@lab.example")


def lift(calendar: Calendar, subject: Subject) -> bool:
    """End a mute."""
    with calendar.lab.database.transaction() as session:
        return sending_rules.lift(session, calendar.lab.service_id, subject)


def sent(calendar: Calendar) -> int:
    """Count what was sent."""
    with calendar.lab.database.read() as session:
        return len(session.scalars(select(OutboxMessage.id)).all())


@pytest.mark.parametrize("subject", [TEMPLATE, RECIPIENT], ids=lambda one: one.kind)
@pytest.mark.parametrize("priority", ["NORMAL", "HIGH"])
def test_what_is_muted_waits_and_leaves_at_the_end(calendar: Calendar, subject: Subject, priority: str) -> None:
    mute(calendar, subject, hours=3)
    one = calendar.accept(priority=priority)
    calendar.work()

    report = calendar.report(one)
    assert report.waits is not None
    assert (report.status, report.waits.code, report.waits.detail) == (
        "SCHEDULED",
        "muted",
        f"The {subject.kind} {subject.name} is muted until 2026-03-02 12:00 UTC: The freezers are being moved.",
    )
    calendar.check_ledger()
    calendar.clock.forward(hours=2, minutes=59)
    calendar.work()
    assert sent(calendar) == 0
    calendar.clock.forward(minutes=1)
    calendar.work()
    assert (sent(calendar), calendar.report(one).status) == (1, "SENT")
    calendar.check_ledger()


def test_a_mute_that_is_lifted_by_hand_lets_what_waited_leave_at_once(calendar: Calendar) -> None:
    queued = calendar.accept("S-queued")
    mute(calendar, RECIPIENT, hours=3)
    calendar.work()
    assert calendar.report(queued).status == "SCHEDULED"
    assert lift(calendar, RECIPIENT)
    calendar.work()
    assert (calendar.report(queued).status, lift(calendar, RECIPIENT)) == ("SENT", False)


def test_what_is_too_old_at_the_end_is_cancelled_with_a_reason(calendar: Calendar) -> None:
    mute(calendar, RECIPIENT, hours=10, drop_older_than="2h")
    old = calendar.accept("S-old")
    calendar.clock.forward(hours=8, minutes=30)
    new = calendar.accept("S-new")
    calendar.work()
    calendar.clock.forward(hours=1, minutes=30)
    calendar.work()

    assert (calendar.report(old).status, calendar.report(new).status, sent(calendar)) == ("CANCELLED", "SENT", 1)
    why = "It came in more than 2h before the end of the mute of the recipient X_LAB."
    assert [what for what in calendar.told(old) if why in what]
    calendar.check_ledger()


def test_what_came_exactly_as_long_before_the_end_is_not_too_old(calendar: Calendar) -> None:
    mute(calendar, RECIPIENT, hours=10, drop_older_than="2h")
    calendar.clock.forward(hours=8)
    one = calendar.accept("S-1")
    calendar.clock.forward(hours=2)
    calendar.work()
    assert calendar.report(one).status == "SENT"


@pytest.mark.parametrize("names", [["X_LAB", "X_BOTH"], ["X_BOTH", "X_LAB"]])
def test_an_address_that_several_share_waits_for_the_first_of_them(calendar: Calendar, names: list[str]) -> None:
    calendar.lab.recipient("X_BOTH", ("EMAIL", "lab@lab.example"))
    mute(calendar, RECIPIENT, hours=3)
    mute(calendar, Subject("recipient", "X_BOTH"), hours=2)
    calendar.accept("S-1", recipient=names)
    counts = []
    for _ in range(3):
        calendar.work()
        counts.append(sent(calendar))
        calendar.clock.forward(hours=1)
    assert counts == [0, 0, 1]


def test_high_leaves_all_the_same_where_the_mute_says_so(calendar: Calendar) -> None:
    mute(calendar, TEMPLATE, hours=3, except_high=True)
    calendar.accept("S-high", priority="HIGH")
    calendar.accept("S-normal")
    calendar.work()
    assert sent(calendar) == 1


def test_a_batch_gathers_while_it_is_muted_and_leaves_as_one(calendar: Calendar) -> None:
    mute(calendar, RECIPIENT, hours=3, drop_older_than="1h")
    ones = [calendar.accept_batched(f"S-{number}") for number in range(3)]
    calendar.clock.forward(hours=1)
    calendar.work()
    membership = calendar.report(ones[0]).channels[0].recipients[0].batch
    assert membership is not None
    assert (membership.status, membership.waits and membership.waits.code) == ("OPEN", "muted")
    ones.append(calendar.accept_batched("S-late"))
    late = calendar.report(ones[-1]).channels[0].recipients[0].batch
    assert late is not None
    assert late.closes_at == membership.closes_at == clock.now() + timedelta(hours=2)
    calendar.clock.forward(hours=2)
    calendar.work()
    assert (sent(calendar), {calendar.report(one).status for one in ones}) == (1, {"SENT"})
    calendar.check_ledger()


@pytest.mark.parametrize("hours", [-1, 0, 367 * 24])
def test_a_mute_ends_in_time_to_come(calendar: Calendar, hours: float) -> None:
    with pytest.raises(Problem, match="still to come"):
        mute(calendar, RECIPIENT, hours=hours)


def _whole(calendar: Calendar) -> dict[str, Any]:
    """Return what goes at once to ``X_LAB``, after half an hour to ``X_CALL``, and after an hour to the worklist."""
    calendar.lab.recipient("X_CALL", ("EMAIL", "call@lab.example"))
    whole = body("S-1")
    step = {"after": "30m", "channels": [whole["channels"][0] | {"recipient": ["X_CALL"]}]}
    whole["obligation"] = {"until": "acknowledged", "steps": [step, {"after": "1h", "channels": []}]}
    found: dict[str, Any] = json.loads(json.dumps(whole))
    return found


def _owing(calendar: Calendar) -> str:
    (outcome,) = accept_many([calendar.lab.submission(_whole(calendar))], lambda _new: None)
    assert isinstance(outcome, Accepted), outcome
    return outcome.notification_id


def _tick(calendar: Calendar) -> None:
    escalation.escalate.run()
    calendar.work()


def test_a_step_that_waits_says_so_and_the_worklist_does_not_wait_for_it(calendar: Calendar) -> None:
    whole = _whole(calendar)
    mute(calendar, Subject("recipient", "X_CALL"), hours=9)
    told = explain.explain(content.read(calendar.lab.submission(whole))).obligation
    assert told is not None
    assert [[(one.code, one.recipients) for one in step.waits] for step in told.steps] == [[("muted", ["X_CALL"])], []]
    one = _owing(calendar)
    _tick(calendar)
    calendar.clock.forward(minutes=31)
    _tick(calendar)
    owed = calendar.report(one).obligation
    assert owed is not None
    assert (owed.steps[1].state, "X_CALL is muted until" in (owed.steps[1].detail or "")) == ("SENT", True)
    calendar.clock.forward(minutes=31)
    _tick(calendar)
    owed = calendar.report(one).obligation
    assert owed is not None
    assert owed.state == "WORKLIST"
    calendar.check_ledger()


def test_a_step_that_waits_is_not_sent_once_the_goal_is_reached(calendar: Calendar) -> None:
    one = _owing(calendar)
    mute(calendar, Subject("recipient", "X_CALL"), hours=9)
    _tick(calendar)
    calendar.clock.forward(minutes=31)
    _tick(calendar)
    assert sent(calendar) == 1
    with calendar.lab.database.transaction() as session:
        identity = session.scalars(select(Obligation.id)).one()
        assert goals.meet(session, identity, Acknowledgement("Ada", "API"))
    calendar.clock.forward(hours=9)
    _tick(calendar)
    owed = calendar.report(one).obligation
    assert owed is not None
    step = calendar.report(owed.steps[1].notification_id or "")
    assert (sent(calendar), step.status) == (1, "CANCELLED")
    calendar.check_ledger()
