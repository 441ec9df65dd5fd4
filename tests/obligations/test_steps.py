"""Obligations from their opening to their end: what is refused, what is taken when, and what becomes of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.accounts.audit import Actor
from backend.db.models.notifications import Notification
from backend.db.models.obligations import Obligation, ObligationStep
from backend.intake import escalation
from backend.intake.content import read
from backend.intake.explain import explain
from backend.lib import clock
from backend.monitoring import obligation_ledger
from backend.obligations import goals, worklist
from backend.obligations.goals import Acknowledgement
from backend.scheduling.cancel import cancel
from tests.conftest import MovableClock
from tests.factories import notification
from tests.intake.conftest import Counter, counter

__all__ = ["counter"]

SMS = {"type": "SMS", "recipient": ["X_DUTY"], "template_id": "X_SAMPLE", "fields": {"sample_id": "S-1"}}


def owing(*steps: dict[str, Any], until: str = "acknowledged", **changes: Any) -> dict[str, Any]:
    later = steps or ({"after": "30m", "channels": [SMS]},)
    return notification(**changes) | {"obligation": {"until": until, "steps": list(later)}}


@pytest.fixture(autouse=True)
def duty(counter: Counter) -> None:
    counter.laboratory.recipient("X_DUTY", ("SMS", "+447700900123"))


def states(counter: Counter) -> tuple[str, list[str]]:
    with counter.laboratory.database.read() as session:
        state = session.scalars(select(Obligation.state)).one()
        return state, list(session.scalars(select(ObligationStep.state).order_by(ObligationStep.number)))


def sent(counter: Counter) -> int:
    with counter.laboratory.database.read() as session:
        return len(session.scalars(select(Notification.id).where(Notification.accepted_at.is_not(None))).all())


def balanced(counter: Counter) -> bool:
    with counter.laboratory.database.read() as session:
        return all(not entry.imbalance and entry.opened for entry in obligation_ledger.balance(session))


def test_steps_are_taken_in_time_and_the_worklist_has_what_nobody_answered(
    counter: Counter, moving_clock: MovableClock
) -> None:
    accepted = counter.accepted(owing())
    escalation.escalate.run()
    assert states(counter) == ("OPEN", ["SENT", "WAITING", "WAITING"])
    moving_clock.forward(minutes=30)
    escalation.escalate.run()
    escalation.escalate.run()
    assert states(counter) == ("OPEN", ["SENT", "SENT", "WAITING"])
    assert counter.usage() == {"EMAIL": 1, "SMS": 1}
    moving_clock.forward(minutes=30)
    escalation.escalate.run()
    assert states(counter) == ("WORKLIST", ["SENT", "SENT", "SENT"])
    report = counter.report(accepted).obligation
    assert report is not None
    assert (report.state, report.next_at, [step.after for step in report.steps]) == (
        "WORKLIST",
        None,
        ["0s", "30m", "1h"],
    )
    assert balanced(counter)


def test_a_step_at_once_and_the_channels_are_the_same_notification(counter: Counter) -> None:
    steps = [{"after": "0s", "channels": notification()["channels"]}, {"after": "30m", "channels": [SMS]}]
    first = counter.accepted({"obligation": {"until": "acknowledged", "steps": steps}, "priority": "NORMAL"})
    second = counter.accepted(owing())
    assert (second.notification_id, second.duplicate) == (first.notification_id, True)
    assert counter.rows()["deliveries"] == 1
    third = counter.accepted(owing({"after": "30m", "channels": [SMS]}, {"after": "60m", "channels": []}))
    assert third.notification_id == first.notification_id


def test_an_acknowledgement_cancels_what_is_to_come_once(counter: Counter, moving_clock: MovableClock) -> None:
    accepted = counter.accepted(owing())
    database, service = counter.laboratory.database, counter.laboratory.service_id
    uid = UUID(accepted.notification_id)
    for first in (True, False):
        with database.transaction() as session:
            assert goals.acknowledge(session, service, uid, Acknowledgement("Ada", "API")) is first
    moving_clock.forward(hours=2)
    escalation.escalate.run()
    assert states(counter) == ("MET", ["SENT", "CANCELLED", "CANCELLED"])
    report = counter.report(accepted)
    assert report.obligation is not None
    assert (report.obligation.met_by, report.obligation.met_through) == ("Ada", "API")
    assert any("Acknowledged by Ada" in event.what for event in report.events)
    assert sent(counter) == 1
    assert balanced(counter)


def test_a_step_that_cannot_be_taken_any_more_brings_the_next_forward(
    counter: Counter, moving_clock: MovableClock
) -> None:
    accepted = counter.accepted(owing())
    with counter.laboratory.database.transaction() as session:
        for row in session.scalars(select(ObligationStep).where(ObligationStep.number == 1)):
            row.content = (row.content or "").replace("X_DUTY", "X_GONE")
    moving_clock.forward(minutes=30)
    escalation.escalate.run()
    assert states(counter) == ("OPEN", ["SENT", "REFUSED", "WAITING"])
    escalation.escalate.run()
    assert states(counter)[0] == "WORKLIST"
    report = counter.report(accepted).obligation
    assert report is not None
    assert "X_GONE" in (report.steps[1].detail or "")


def test_closing_needs_a_reason_and_ends_it(counter: Counter, moving_clock: MovableClock) -> None:
    accepted = counter.accepted(owing())
    moving_clock.forward(minutes=30)
    escalation.escalate.run()
    moving_clock.forward(minutes=30)
    escalation.escalate.run()
    uid, service = UUID(accepted.notification_id), counter.laboratory.service_id
    with counter.laboratory.database.transaction() as session:
        with pytest.raises(goals.Problem):
            worklist.close(session, service, uid, "ada@lab.example", "  ")
        assert worklist.close(session, service, uid, "ada@lab.example", "Repaired on site")
        assert not worklist.close(session, service, uid, "bob@lab.example", "Again")
        with pytest.raises(goals.Problem, match="closed"):
            goals.acknowledge(session, service, uid, Acknowledgement("Bob", "API"))
    assert states(counter)[0] == "CLOSED"
    assert balanced(counter)


def test_all_steps_are_validated_when_it_is_accepted(counter: Counter) -> None:
    wrong = [SMS, SMS | {"recipient": ["X_NOBODY"]}, SMS | {"template_id": "X_UNKNOWN"}]
    refused = counter.refused(
        owing({"after": "0s", "channels": [SMS | {"recipient": ["X_LAB"]}]}, {"after": "1h", "channels": wrong})
    )
    assert [(error.pointer, error.code) for error in refused.problem.errors] == [
        ("/obligation/steps/0/channels/0/recipient/0", "no_address_for_channel"),
        ("/obligation/steps/1/channels/1/recipient/0", "unknown_recipient"),
        ("/obligation/steps/1/channels/2/template_id", "unknown_template"),
    ]
    assert counter.rows()["deliveries"] == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (owing(priority="BATCH", aggregator_id="A"), "/obligation"),
        (owing({"after": "2h", "channels": [SMS]}, {"after": "1h", "channels": [SMS]}), "/obligation/steps/1/after"),
        (owing({"after": "31d", "channels": [SMS]}), "/obligation/steps/0/after"),
        (owing({"after": "1h"}, {"after": "2h", "channels": [SMS]}), "/obligation/steps/0/channels"),
        (owing({"after": "soon", "channels": [SMS]}), "/obligation/steps/0/after"),
        (owing({"after": "1h", "channels": [SMS | {"subject": "a\nb"}]}), "/obligation/steps/0/channels/0/subject"),
        (owing({"after": "1h", "channels": [SMS | {"sender": "S_LAB"}]}), "/obligation/steps/0/channels/0/sender"),
        (owing(until="known"), "/obligation/until"),
        ({"obligation": owing()["obligation"]}, "/obligation/steps/0/after"),
    ],
)
def test_an_obligation_that_makes_no_sense_is_refused(counter: Counter, body: dict[str, Any], pointer: str) -> None:
    assert pointer in [error.pointer for error in counter.refused(body).problem.errors]


def test_explaining_shows_the_plan_with_its_times(counter: Counter, moving_clock: MovableClock) -> None:
    found = explain(read(counter.laboratory.submission(owing())))
    assert found.would == "DISPATCH"
    assert found.obligation is not None
    first, end = found.obligation.steps
    assert (first.after, [one.type for one in first.channels]) == ("30m", ["SMS"])
    assert (end.channels, found.obligation.worklist_at) == ([], end.at)
    assert (end.at - moving_clock.moment).total_seconds() == 3600


def test_the_steps_of_what_is_scheduled_count_from_its_moment(counter: Counter, moving_clock: MovableClock) -> None:
    moment = clock.now() + timedelta(hours=2)
    counter.accepted(owing() | {"send_at": clock.iso(moment)})
    with counter.laboratory.database.read() as session:
        due = list(session.scalars(select(ObligationStep.due_at).order_by(ObligationStep.number)))
    assert [(at - due[0]).total_seconds() for at in due] == [0, 1_800, 3_600]
    assert abs(due[0] - moment) < timedelta(seconds=1)
    moving_clock.forward(minutes=90)
    escalation.escalate.run()
    assert states(counter) == ("OPEN", ["SENT", "WAITING", "WAITING"])
    moving_clock.forward(minutes=61)
    escalation.escalate.run()
    assert states(counter) == ("OPEN", ["SENT", "SENT", "WAITING"])


def test_cancelling_the_notification_closes_its_obligation(counter: Counter, moving_clock: MovableClock) -> None:
    accepted = counter.accepted(owing())
    cancel(counter.laboratory.service_id, UUID(accepted.notification_id), Actor("person", "ada@lab.example"))
    moving_clock.forward(hours=2)
    escalation.escalate.run()
    assert states(counter) == ("CLOSED", ["SENT", "CANCELLED", "CANCELLED"])
    report = counter.report(accepted).obligation
    assert report is not None
    assert (report.closed_by, report.closed_reason) == ("ada@lab.example", "Its notification was cancelled.")
    assert balanced(counter)
