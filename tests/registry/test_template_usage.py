"""What templates were used for: single notifications and batches, and what still waits for them."""

import json

import pytest

from backend.batching import flush
from backend.db.database import Database
from backend.intake.accept import accept_many
from backend.lib.problems import Problem
from backend.registry import template_usage
from tests.conftest import MovableClock
from tests.factories import BATCH_HTML, Laboratory, laboratory, notification


@pytest.fixture
def lab(database: Database, moving_clock: MovableClock) -> Laboratory:
    made = laboratory(database)
    made.template("X_MANY", BATCH_HTML)
    return made


def accept(lab: Laboratory, *bodies: object) -> None:
    accept_many([lab.submission(body) for body in bodies], lambda _priorities: None)


def batched(sample_id: str) -> dict[str, object]:
    fields = {"sample-id": sample_id}
    return notification(template_id="X_MANY", fields=fields, priority="BATCH", aggregator_id="run-1")


def test_the_newest_notification_tells_when_a_template_was_used(lab: Laboratory, moving_clock: MovableClock) -> None:
    accept(lab, notification("S-1"))
    moving_clock.forward(minutes=5)
    accept(lab, notification("S-2"))
    used_at = moving_clock.moment
    lab.template("X_SAMPLE", "<p>New version</p>")
    with lab.database.read() as session:
        assert template_usage.last_used(session, lab.service_id) == {"X_SAMPLE": used_at}
        payloads = template_usage.last_payloads(session, lab.service_id, "X_SAMPLE")
    assert [one.fields["sample_id"] for one in payloads] == ["S-2", "S-1"]
    assert (payloads[0].channel, payloads[0].subject, payloads[0].members) == ("EMAIL", "A sample has failed", None)


def test_a_batch_counts_when_it_has_gone_and_guards_its_template_until_then(
    lab: Laboratory, moving_clock: MovableClock
) -> None:
    accept(lab, batched("S-1"), batched("S-2"))
    with lab.database.read() as session:
        assert template_usage.waiting(session, lab.service_id, "X_MANY").batches == 1
        with pytest.raises(Problem, match="1 open batch waits") as in_use:
            template_usage.check_unused(session, lab.service_id, "X_MANY")
        assert in_use.value.code == "in_use"
        assert template_usage.last_used(session, lab.service_id) == {}
    moving_clock.forward(hours=1)
    with lab.database.transaction() as session:
        for batch_id in flush.due(session):
            flush.dispatch(session, batch_id)
    with lab.database.read() as session:
        assert template_usage.waiting(session, lab.service_id, "X_MANY") == template_usage.Waiting(0, 1)
        template_usage.check_unused(session, lab.service_id, "X_MANY")
        assert template_usage.last_used(session, lab.service_id) == {"X_MANY": moving_clock.moment}
        (payload,) = template_usage.last_payloads(session, lab.service_id, "X_MANY")
    assert payload.members == 2
    assert json.dumps(payload.fields) == '[{"sample-id": "S-1"}, {"sample-id": "S-2"}]'


def test_the_last_ten_are_enough_and_come_from_every_version(lab: Laboratory, moving_clock: MovableClock) -> None:
    for number in range(8):
        accept(lab, notification(f"A-{number}"))
        moving_clock.forward(seconds=1)
    lab.template("X_SAMPLE", "<p>{{ sample_id }}</p>")
    for number in range(4):
        accept(lab, notification(f"B-{number}"))
        moving_clock.forward(seconds=1)
    with lab.database.read() as session:
        payloads = template_usage.last_payloads(session, lab.service_id, "X_SAMPLE")
        assert template_usage.last_payloads(session, lab.service_id + 1, "X_SAMPLE") == []
    wanted = [f"B-{number}" for number in (3, 2, 1, 0)] + [f"A-{number}" for number in (7, 6, 5, 4, 3, 2)]
    assert [one.fields["sample_id"] for one in payloads] == wanted
