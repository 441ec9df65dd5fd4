"""Accepting as a whole or not at all: what is stored, what is refused, and what is validated afresh."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, Notification, Priority
from backend.delivery.tasks import New
from backend.intake.accept import Accepted, Refused, accept_many
from tests.conftest import MovableClock
from tests.factories import BATCH_HTML, laboratory, notification
from tests.intake.conftest import Counter


def channel(**changes: Any) -> dict[str, Any]:
    return dict(notification(**changes)["channels"][0])


def switch(counter: Counter, *, active: bool) -> None:
    with counter.laboratory.database.transaction() as session:
        session.get_one(Service, counter.laboratory.service_id).active = active


def test_what_is_accepted_is_stored_whole_and_due_at_once(counter: Counter, moving_clock: MovableClock) -> None:
    outcome = counter.accepted(notification(priority="HIGH"))
    assert (outcome.status, outcome.duplicate) == ("DISPATCHED", False)
    with counter.laboratory.database.read() as session:
        stored, delivery = session.scalars(select(Notification)).one(), session.scalars(select(Delivery)).one()
    assert stored.uid == UUID(outcome.notification_id)
    assert (stored.service_id, stored.api_client_id) == (
        counter.laboratory.service_id,
        counter.laboratory.client.id,
    )
    assert (stored.status, stored.priority, stored.problem) == ("DISPATCHED", Priority.HIGH, None)
    assert stored.accepted_at == stored.created_at == moving_clock.moment
    assert (delivery.status, delivery.priority, delivery.attempts) == ("QUEUED", Priority.HIGH, 0)
    assert (delivery.due_at, delivery.address) == (moving_clock.moment, "lab@lab.example")


def test_the_engine_is_woken_after_the_commit_and_only_for_what_is_new(counter: Counter) -> None:
    seen: list[tuple[New, int]] = []
    submission = counter.laboratory.submission
    group = [submission(notification("S-1", priority="HIGH")), submission(notification("S-2"))]
    for _ in range(2):
        accept_many(group, lambda new: seen.append((new, counter.rows()["deliveries"])))
    assert seen == [({Priority.HIGH.value: {"EMAIL"}, Priority.NORMAL.value: {"EMAIL"}}, 2)]
    counter.refused(notification(template_id="X_UNKNOWN"))
    assert counter.wakes == []


def test_one_address_in_two_groups_gets_one_message_shown_under_both(counter: Counter) -> None:
    counter.laboratory.recipient("X_NIGHT", ("EMAIL", "night@lab.example"), ("EMAIL", "lab@lab.example"))
    outcome = counter.accepted(notification(recipient=["X_LAB", "X_NIGHT"]))
    (reported,) = counter.report(outcome).channels
    addresses = {one.recipient: [delivery.address for delivery in one.deliveries] for one in reported.recipients}
    assert addresses.keys() == {"X_LAB", "X_NIGHT"}
    assert addresses["X_LAB"] == ["lab@lab.example"]
    assert sorted(addresses["X_NIGHT"]) == ["lab@lab.example", "night@lab.example"]
    assert len({delivery.id for one in reported.recipients for delivery in one.deliveries}) == 2
    assert counter.rows()["deliveries"] == 2
    assert counter.usage() == {"EMAIL": 2}


def test_usage_counts_messages_by_channel_type_and_day(counter: Counter, moving_clock: MovableClock) -> None:
    counter.laboratory.recipient("X_BOTH", ("EMAIL", "a@lab.example"), ("SMS", "+447700900123"))
    both = [channel(recipient=["X_LAB", "X_BOTH"]), channel(type="SMS", recipient=["X_BOTH"], subject=...)]
    counter.accepted(notification(channels=both))
    counter.accepted(notification("S-2"))
    counter.accepted(notification("S-2"))
    counter.refused(notification(recipient=["X_NOBODY"]))
    assert counter.usage() == {"EMAIL": 3, "SMS": 1}
    moving_clock.forward(days=1)
    counter.accepted(notification("S-3"))
    assert counter.rows()["usage"] == 3


def test_one_fault_in_one_channel_refuses_every_channel(counter: Counter) -> None:
    channels = [channel(), channel(recipient=["X_LAB", "X_NOBODY"]), channel(template_id="X_UNKNOWN")]
    outcome = counter.refused(notification(channels=channels))
    assert outcome.problem.code == "invalid_notification"
    assert [(error.pointer, error.code) for error in outcome.problem.errors] == [
        ("/channels/1/recipient/1", "unknown_recipient"),
        ("/channels/2/template_id", "unknown_template"),
    ]
    assert counter.rows() == {"notifications": 1, "deliveries": 0, "usage": 0, "events": 0}
    assert counter.report(outcome).status == "FAILED"


def test_a_refused_notification_is_read_back_with_its_reason(counter: Counter) -> None:
    outcome = counter.refused(notification(template_id="X_UNKNOWN"))
    report = counter.report(outcome)
    assert (report.status, report.notification_id) == ("FAILED", outcome.notification_id)
    assert report.problem is not None
    assert report.problem.code == "unknown_template"
    assert report.problem.errors[0].pointer == "/channels/0/template_id"
    (shown,) = report.channels
    assert (shown.type, shown.template_id, shown.template_version) == ("EMAIL", "X_UNKNOWN", None)
    assert [(one.recipient, one.deliveries) for one in shown.recipients] == [("X_LAB", [])]
    assert report.events[0].what.startswith("Refused: ")


def test_a_refused_notification_is_validated_afresh_and_may_be_accepted(
    counter: Counter, moving_clock: MovableClock
) -> None:
    body = notification(template_id="X_LATER", recipient=["X_LATER"])
    refused = counter.refused(body)
    moving_clock.forward(minutes=5)
    counter.laboratory.template("X_LATER")
    again = counter.refused(body)
    assert (again.notification_id, again.problem.code) == (refused.notification_id, "unknown_recipient")
    still = counter.report(again)
    assert still.status == "FAILED"
    assert [error.code for error in still.problem.errors if still.problem] == ["unknown_recipient"]
    moving_clock.forward(minutes=5)
    counter.laboratory.recipient("X_LATER", ("EMAIL", "later@lab.example"))
    accepted = counter.accepted(body)
    assert (accepted.notification_id, accepted.duplicate) == (refused.notification_id, False)
    report = counter.report(accepted)
    assert (report.status, report.problem, report.created_at) == ("DISPATCHED", None, moving_clock.moment)
    assert counter.rows() == {"notifications": 1, "deliveries": 1, "usage": 1, "events": 0}
    assert counter.accepted(body).duplicate


def test_what_was_accepted_stays_accepted_when_its_service_is_switched_off(counter: Counter) -> None:
    first = counter.accepted(notification())
    switch(counter, active=False)
    again = counter.accepted(notification())
    assert (again.notification_id, again.duplicate) == (first.notification_id, True)


def test_a_service_that_is_switched_off_is_refused_until_it_is_on_again(counter: Counter) -> None:
    switch(counter, active=False)
    outcome = counter.refused(notification())
    assert (outcome.problem.code, outcome.problem.entry.status) == ("service_disabled", 422)
    assert counter.report(outcome).status == "FAILED"
    assert counter.rows()["deliveries"] == 0
    switch(counter, active=True)
    assert not counter.accepted(notification()).duplicate


def test_another_services_recipients_and_templates_are_unknown(counter: Counter) -> None:
    laboratory(counter.laboratory.database, "Zoology")
    outcome = counter.refused(notification(recipient=["Z_LAB"], template_id="Z_SAMPLE"))
    assert {error.code for error in outcome.problem.errors} == {"unknown_recipient", "unknown_template"}
    told = " ".join(error.detail for error in outcome.problem.errors)
    assert "for this service" in told


def test_a_group_of_two_services_is_validated_by_each_ones_own_registry(counter: Counter) -> None:
    other = laboratory(counter.laboratory.database, "Zoology")
    own, theirs = notification(), notification(recipient=["Z_LAB"], template_id="Z_SAMPLE")
    group = [lab.submission(body) for lab in (counter.laboratory, other) for body in (own, theirs)]
    outcomes = accept_many(group, counter.wakes.append)
    assert [isinstance(one, Accepted) for one in outcomes] == [True, False, False, True]


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"x"', b"null", b"true"])
def test_what_is_no_object_has_the_identity_of_its_octets(counter: Counter, raw: bytes) -> None:
    outcome = counter.refused(raw)
    assert counter.refused(raw).notification_id == outcome.notification_id != counter.refused(b"{").notification_id
    report = counter.report(outcome)
    assert report.problem is not None
    assert (report.status, report.problem.code) == ("FAILED", "invalid_request")


def test_answers_come_in_the_order_of_the_group(counter: Counter) -> None:
    bodies: list[object] = [notification("S-1"), b"{", notification(recipient=["X_NO"]), notification("S-2"), b"[]"]
    outcomes = counter.accept(*bodies)
    assert [type(one) for one in outcomes] == [Accepted, Refused, Refused, Accepted, Refused]
    codes = [one.problem.code for one in outcomes if isinstance(one, Refused)]
    assert codes == ["malformed_json", "unknown_recipient", "invalid_request"]


def test_a_buffered_notification_counts_once_for_each_batch_it_joins(counter: Counter) -> None:
    counter.laboratory.recipient("X_TWO", ("EMAIL", "lab@lab.example"), ("EMAIL", "night@lab.example"))
    counter.laboratory.template("X_LIST", BATCH_HTML)
    several = [channel(template_id="X_LIST", recipient=["X_LAB", "X_TWO", "X_LAB"], fields={"sample-id": "S-1"})]
    counter.accepted(notification(channels=several, priority="BATCH", aggregator_id="run-1"))
    assert counter.usage() == {"EMAIL": 2}
