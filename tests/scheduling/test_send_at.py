"""Notifications with a moment of their own: kept until then, released once, with the registry of that moment."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.notifications import Delivery, OutboxMessage, Usage
from backend.intake.entries import Accepted, Refused
from backend.scheduling import release, tasks
from tests.scheduling.conftest import Calendar


def sent_to(calendar: Calendar) -> list[str]:
    """Return the addresses that got a message, in order."""
    with calendar.lab.database.read() as session:
        return list(session.scalars(select(OutboxMessage.address).order_by(OutboxMessage.id)))


@pytest.mark.parametrize("priority", ["NORMAL", "HIGH"])
def test_it_is_sent_when_its_moment_has_come_and_once(calendar: Calendar, priority: str) -> None:
    one = calendar.accept(send_at=calendar.at(hours=2), priority=priority)
    calendar.clock.forward(hours=1, minutes=59)
    calendar.work()
    waiting = calendar.report(one)
    assert (waiting.status, waiting.due_in_seconds, sent_to(calendar)) == ("SCHEDULED", 60, [])
    assert [one.due_at for one in waiting.channels[0].recipients[0].deliveries] == [waiting.send_at]
    calendar.check_ledger()
    calendar.clock.forward(minutes=1)
    calendar.work()
    calendar.work()
    assert (calendar.report(one).status, sent_to(calendar)) == ("SENT", ["lab@lab.example"])
    assert calendar.report(one).due_in_seconds is None
    assert [what for what in calendar.told(one) if "moment" in what] == ["Its moment has come: it goes to the queue."]
    calendar.check_ledger()


def test_a_batch_takes_it_when_it_is_due_and_not_before(calendar: Calendar) -> None:
    late = calendar.accept_batched("S-late", send_at=calendar.at(minutes=10))
    early = calendar.accept_batched("S-early")
    calendar.clock.forward(minutes=2)
    calendar.work()
    assert (calendar.report(early).status, calendar.report(late).status) == ("SENT", "SCHEDULED")
    calendar.check_ledger()
    calendar.clock.forward(minutes=9)
    calendar.work()
    beside = calendar.accept_batched("S-beside")
    assert calendar.report(late).status == "BUFFERED"
    membership = calendar.report(late).channels[0].recipients[0].batch
    assert membership is not None
    assert (membership.sequence, membership.members, calendar.deliveries(late)) == (1, 2, [])
    calendar.clock.forward(minutes=2)
    calendar.work()
    assert {calendar.report(one).status for one in (late, beside)} == {"SENT"}
    calendar.check_ledger()


def test_the_moment_is_part_of_the_content(calendar: Calendar) -> None:
    noon, same_noon = "2026-11-22T12:00:00Z", "2026-11-22T13:00:00.000+01:00"
    first, same, at_once = calendar.submit(send_at=noon), calendar.submit(send_at=same_noon), calendar.submit()
    assert isinstance(first, Accepted)
    assert isinstance(same, Accepted)
    assert isinstance(at_once, Accepted)
    assert (first.status, same.status, at_once.status) == ("SCHEDULED", "SCHEDULED", "DISPATCHED")
    assert (same.notification_id, same.duplicate) == (first.notification_id, True)
    assert at_once.notification_id != first.notification_id


def test_a_moment_that_has_passed_means_at_once_and_is_warned_of(calendar: Calendar) -> None:
    outcome = calendar.submit(send_at=calendar.at(seconds=-1))
    assert isinstance(outcome, Accepted)
    assert (outcome.status, [one.code for one in outcome.warnings]) == ("DISPATCHED", ["send_at_passed"])
    calendar.work()
    assert sent_to(calendar) == ["lab@lab.example"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("2026-11-22", "RFC 3339"),
        ("2026-11-22T12:00:00", "RFC 3339"),
        ("tomorrow", "RFC 3339"),
        ("2026-02-30T12:00:00Z", "RFC 3339"),
        ("٢٠٢٦-11-22T12:00:00Z", "RFC 3339"),
        ("9999-12-31T23:59:59-01:00", "RFC 3339"),
        ("2999-01-01T00:00:00Z", "at most 366 days ahead"),
        (1800000000, "Must be a string"),
    ],
)
def test_what_is_no_moment_is_refused_with_a_sentence(calendar: Calendar, given: Any, sentence: str) -> None:
    outcome = calendar.submit(send_at=given)
    assert isinstance(outcome, Refused)
    assert [(error.pointer, sentence in error.detail) for error in outcome.problem.errors] == [("/send_at", True)]


def test_it_is_rendered_with_the_template_and_the_addresses_of_its_moment(calendar: Calendar) -> None:
    calendar.lab.recipient("X_LAB", ("EMAIL", "old@lab.example"), ("EMAIL", "stays@lab.example"))
    one = calendar.accept(send_at=calendar.at(hours=1))
    calendar.lab.recipient("X_LAB", ("EMAIL", "stays@lab.example"), ("EMAIL", "new@lab.example"))
    calendar.lab.template("X_SAMPLE", "<p>Second text for {{ sample_id }}</p>")
    calendar.clock.forward(hours=1)
    calendar.work()
    assert sorted(sent_to(calendar)) == ["new@lab.example", "stays@lab.example"]
    with calendar.lab.database.read() as session:
        texts = session.scalars(select(OutboxMessage.text)).all()
    assert {"Second text for S-1" in text for text in texts} == {True}
    assert calendar.report(one).channels[0].template_version == 2
    assert ("old@lab.example", "CANCELLED") in calendar.deliveries(one)
    calendar.check_ledger()
    with calendar.lab.database.read() as session:
        assert session.scalars(select(Usage.count)).all() == [3]


def test_a_recipient_without_an_address_by_then_is_a_failure_that_is_told(calendar: Calendar) -> None:
    calendar.lab.recipient("X_OTHER", ("EMAIL", "other@lab.example"))
    one = calendar.accept(recipient=["X_LAB", "X_OTHER"], send_at=calendar.at(hours=1))
    calendar.lab.recipient("X_LAB", ("SLACK", "#lab"))
    calendar.clock.forward(hours=1)
    calendar.work()
    assert (calendar.report(one).status, sent_to(calendar)) == ("PARTIAL", ["other@lab.example"])
    assert any("no EMAIL endpoint any more" in what for what in calendar.told(one))
    calendar.check_ledger()


def test_two_workers_at_once_release_everything_once(calendar: Calendar) -> None:
    ones = [calendar.accept(f"S-{number}", send_at=calendar.at(minutes=1)) for number in range(40)]
    gathered = [calendar.accept_batched(f"B-{number}", send_at=calendar.at(minutes=1)) for number in range(20)]
    calendar.clock.forward(minutes=1)
    with ThreadPoolExecutor(4) as workers:
        for done in [workers.submit(tasks.release_due.run) for _ in range(4)]:
            done.result()
    calendar.work()
    assert {calendar.report(one).status for one in ones} == {"SENT"}
    assert {calendar.report(one).status for one in gathered} == {"BUFFERED"}
    assert len(sent_to(calendar)) == 40
    assert calendar.kinds().count("due") == 40
    calendar.check_ledger()


def test_a_worker_that_dies_before_it_commits_leaves_all_as_it_was(calendar: Calendar) -> None:
    one = calendar.accept_batched("S-1", send_at=calendar.at(minutes=1))
    two = calendar.accept("S-2", send_at=calendar.at(minutes=1))
    calendar.clock.forward(minutes=1)

    def die(database: Database) -> None:
        with database.transaction() as session:
            assert release.release(session, release.due(session)).anything
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        die(calendar.lab.database)
    assert {calendar.report(found).status for found in (one, two)} == {"SCHEDULED"}
    calendar.work()
    assert (calendar.report(one).status, calendar.report(two).status) == ("BUFFERED", "SENT")


def test_a_release_gives_a_message_all_its_tries_anew(calendar: Calendar) -> None:
    one = calendar.accept(send_at=calendar.at(days=300))
    calendar.clock.forward(days=300)
    tasks.release_due.run()
    with calendar.lab.database.read() as session:
        found = session.scalars(select(Delivery)).one()
    assert (found.requeued_at, found.status) == (calendar.clock(), "QUEUED")
    calendar.work()
    assert calendar.report(one).status == "SENT"
