"""The day's limit is exact, and neither a poisonous submission nor a failing database harms anyone else."""

from typing import Any

import pytest
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from backend.db.models.accounts import Service
from backend.intake.accept import Accepted, Refused, accept_many
from backend.intake.content import Submission
from backend.intake.quotas import Meter
from tests.conftest import MovableClock
from tests.factories import notification
from tests.intake.conftest import Counter, at_once


def limit(counter: Counter, messages: int) -> None:
    with counter.laboratory.database.transaction() as session:
        session.get_one(Service, counter.laboratory.service_id).daily_limit = messages


def test_parallel_groups_reach_the_daily_limit_exactly(counter: Counter) -> None:
    limit(counter, 25)
    groups = [[notification(f"S-{group}-{number}") for number in range(5)] for group in range(8)]
    answers = at_once([lambda group=group: counter.accept(*group) for group in groups])
    outcomes = [one for group in answers for one in group]
    refused = [one for one in outcomes if isinstance(one, Refused)]
    assert (len(outcomes) - len(refused), len(refused)) == (25, 15)
    assert {one.problem.code for one in refused} == {"daily_limit_reached"}
    assert counter.rows() == {"notifications": 40, "deliveries": 25, "usage": 1, "events": 0}
    assert counter.usage() == {"EMAIL": 25}


def test_the_limit_counts_messages_and_refuses_a_notification_as_a_whole(counter: Counter) -> None:
    limit(counter, 3)
    counter.laboratory.recipient("X_TWO", ("EMAIL", "a@lab.example"), ("EMAIL", "b@lab.example"))
    counter.accepted(notification("S-1", recipient=["X_TWO"]))
    assert counter.refused(notification("S-2", recipient=["X_TWO"])).problem.code == "daily_limit_reached"
    counter.accepted(notification("S-3"))
    assert counter.usage() == {"EMAIL": 3}
    assert counter.rows()["deliveries"] == 3


def test_what_the_limit_turned_away_is_read_back_as_failed_and_may_come_after_midnight(
    counter: Counter, moving_clock: MovableClock
) -> None:
    limit(counter, 0)
    outcome = counter.refused(notification())
    assert outcome.problem.entry.status == 429
    report = counter.report(outcome)
    assert report.problem is not None
    assert (report.status, report.problem.code) == ("FAILED", "daily_limit_reached")
    assert outcome.problem.headers == {"Retry-After": str(15 * 3600)}
    assert counter.rows() == {"notifications": 1, "deliveries": 0, "usage": 0, "events": 0}
    assert counter.wakes == []
    limit(counter, 1)
    counter.accepted(notification())
    assert counter.refused(notification("S-2")).problem.code == "daily_limit_reached"
    moving_clock.forward(hours=15)
    assert not counter.accepted(notification("S-2")).duplicate


def test_a_duplicate_does_not_count_against_the_limit(counter: Counter) -> None:
    limit(counter, 1)
    first = counter.accepted(notification())
    assert counter.accepted(notification()) == Accepted(first.notification_id, "DISPATCHED", duplicate=True)


def test_an_earlier_refusal_is_told_with_the_last_reason(counter: Counter) -> None:
    limit(counter, 0)
    body = notification(template_id="X_LATER")
    refused = counter.refused(body)
    counter.laboratory.template("X_LATER")
    assert counter.refused(body).problem.code == "daily_limit_reached"
    report = counter.report(refused)
    assert report.status == "FAILED"
    assert report.problem is not None
    assert report.problem.code == "daily_limit_reached"


def test_a_poisonous_submission_harms_nobody_else_in_its_group(counter: Counter) -> None:
    good = [counter.laboratory.submission(notification(f"S-{number}")) for number in range(4)]
    of_nobody = Submission(999_999, None, good[0].raw)
    outcomes = accept_many([*good[:2], of_nobody, *good[2:]], counter.wakes.append)
    assert [isinstance(one, Accepted) and not one.duplicate for one in outcomes] == [True, True, False, True, True]
    poison = outcomes[2]
    assert isinstance(poison, Refused)
    assert (poison.problem.code, poison.notification_id) == ("internal_error", None)
    assert counter.rows() == {"notifications": 4, "deliveries": 4, "usage": 1, "events": 0}


FAILURES = [
    OperationalError("INSERT", {}, Exception("disk I/O error")),
    InterfaceError("INSERT", {}, Exception("connection already closed")),
    PoolTimeout("QueuePool limit reached"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_failing_database_answers_503_and_leaves_nothing_half_written(
    counter: Counter, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    before, after_inserts = notification("S-0"), Meter.store

    def fail(self: Meter) -> None:
        after_inserts(self)
        raise failure

    counter.accepted(before)
    rows = counter.rows()
    with monkeypatch.context() as patched:
        patched.setattr(Meter, "store", fail)
        outcomes = counter.accept(notification("S-1"), notification(recipient=["X_NOBODY"]), notification("S-2"))
    assert counter.rows() == rows
    for outcome in outcomes:
        assert isinstance(outcome, Refused)
        assert (outcome.problem.entry.status, outcome.notification_id) == (503, None)
        assert int(outcome.problem.headers["Retry-After"]) > 0
    assert len(counter.wakes) == 1
    assert not counter.accepted(notification("S-1")).duplicate


def crowded(number: int) -> dict[str, Any]:
    """Write a notification of the greatest size: 20 channels to 100 recipients each, none of them known."""
    channel = dict(notification()["channels"][0])
    names = [[f"X_{number}_{index}_{position}" for position in range(100)] for index in range(20)]
    return notification(channels=[channel | {"recipient": recipients} for recipients in names])


def test_a_group_may_name_more_recipients_than_one_statement_takes(counter: Counter) -> None:
    good = notification("S-1")
    outcomes = counter.accept(*(crowded(number) for number in range(34)), good)
    assert {one.problem.code for one in outcomes[:-1] if isinstance(one, Refused)} == {"unknown_recipient"}
    assert isinstance(outcomes[-1], Accepted)
    first = outcomes[0]
    assert isinstance(first, Refused)
    assert len(first.problem.errors) == 50
    assert "2000 faults in all" in first.problem.detail
