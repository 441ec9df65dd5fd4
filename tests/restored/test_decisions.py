"""What is decided about what is held back: all of it or some, with statuses, events, audit log and ledger following."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from sqlalchemy import func, select

from backend.accounts.audit import Actor
from backend.batching import manage
from backend.cli import carillon
from backend.db.models.audit import AuditEntry
from backend.db.models.batches import Batch
from backend.db.models.callbacks import CallbackMessage
from backend.db.models.installation import HeldRow, Installation
from backend.db.models.spreadsheets import Spreadsheet
from backend.delivery import again
from backend.lib import clock
from backend.restored import decisions, hold, recognition
from backend.restored.decisions import Decision
from backend.restored.rows import Wanted
from backend.scheduling import tasks as scheduling_tasks
from tests.factories import laboratory
from tests.restored.conftest import ALL, BATCH, BY, Harness

EVERYTHING = Wanted()
REFUSED = (
    (("release", "--service", "Nobody"), "There is no service named Nobody."),
    (("cancel", "--older-than", "two hours"), "'two hours' is no span of time; write it like 90m, 2h or 3d."),
    (("mark-sent", "--channel", "PIGEON"), "'PIGEON' is not one of"),
)


@pytest.fixture
def held(harness: Harness) -> Harness:
    """Give an installation that was restored half an hour ago."""
    harness.back_up()
    recognition.look_once()
    assert dict(harness.restore().held) == ALL
    harness.clock.forward(minutes=30)
    return harness


def decide(harness: Harness, decision: Decision, wanted: Wanted = EVERYTHING) -> dict[str, int]:
    return dict(decisions.decide(decision, wanted, BY).done)


def is_over(harness: Harness) -> bool:
    with harness.database.read() as session:
        rows = session.scalar(select(func.count()).select_from(HeldRow))
        since = session.scalar(select(Installation.held_at))
    return rows == 0 and since is None and not harness.held().groups


def audited(harness: Harness) -> list[tuple[str, str, dict[str, Any]]]:
    with harness.database.read() as session:
        found = session.scalars(select(AuditEntry).where(AuditEntry.action.like("held.%")).order_by(AuditEntry.id))
        return [(entry.actor, entry.action, entry.detail) for entry in found]


def test_what_is_let_go_goes_out_once(held: Harness) -> None:
    before = held.left()[0]
    assert decide(held, Decision.RELEASE) == ALL
    assert is_over(held)
    held.work()
    assert held.left()[0] == before + 5 + 2 + 2
    assert held.status("old") == "SENT"
    assert held.status("b-2") == "SENT"
    assert held.is_even()
    assert "tests decided that it goes out" in " ".join(held.told("queued"))
    assert audited(held) == [("tests", "held.released", ALL)]
    held.work()
    assert held.left()[0] == before + 9


def test_what_is_scheduled_waits_for_the_decision_too(harness: Harness) -> None:
    later = clock.iso(clock.now() + timedelta(hours=1))
    harness.accept("later", send_at=later)
    harness.accept("b-later", send_at=later, **BATCH)
    with harness.database.transaction() as session:
        hold.hold(session, "a test", claims=False)
    harness.clock.forward(hours=2)
    scheduling_tasks.release_due.run()
    assert {harness.status(name) for name in ("later", "b-later")} == {"SCHEDULED"}
    decisions.decide(Decision.RELEASE, Wanted(), BY)
    scheduling_tasks.release_due.run()
    harness.work()
    assert (harness.status("later"), harness.status("b-later")) == ("SENT", "BUFFERED")
    assert harness.is_even()


def test_what_counts_as_sent_does_not_go_out(held: Harness) -> None:
    before = held.left()[0]
    assert decide(held, Decision.MARK_SENT) == ALL
    assert is_over(held)
    held.clock.forward(hours=30)
    held.work()
    assert held.left()[0] == before
    assert held.statuses() == {"SENT": 1 + 5 + 2}
    assert {held.status(name) for name in ("queued", "claimed", "high", "b-1", "c-1")} == {"SENT"}
    assert held.is_even()
    with held.database.read() as session:
        assert session.scalars(select(Batch.status).distinct()).all() == ["SENT"]
        assert session.scalars(select(Spreadsheet.stage)).all() == ["DONE"]


def test_what_is_cancelled_does_not_go_out(held: Harness) -> None:
    before = held.left()[0]
    assert decide(held, Decision.CANCEL) == ALL
    assert is_over(held)
    held.clock.forward(hours=30)
    held.work()
    assert held.left()[0] == before
    assert {held.status(name) for name in ("queued", "claimed", "high", "b-1", "c-1")} == {"CANCELLED"}
    assert held.is_even()
    with held.database.read() as session:
        assert session.scalars(select(Spreadsheet.stage)).all() == ["STOPPED"]
        failed = select(CallbackMessage.last_error).where(CallbackMessage.status == "FAILED")
        assert "tests decided that it is cancelled" in str(session.scalars(failed).one())


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("wanted", "done"),
    [
        ({"older_than_hours": 2}, {"delivery": 1}),
        ({"channel": "CALLBACK"}, {"callback": 1}),
        ({"channel": "EMAIL"}, {"delivery": 5, "batch": 2, "spreadsheet": 1}),
        ({"channel": "SMS"}, {}),
        ({"service": "other"}, {}),
        ({"service": "own", "channel": "EMAIL", "older_than_hours": 2}, {"delivery": 1}),
    ],
)
def test_some_of_it_is_decided_about_and_the_rest_stays(
    held: Harness, wanted: dict[str, Any], done: dict[str, int]
) -> None:
    other = laboratory(held.database, "Other").service_id
    hours = wanted.get("older_than_hours")
    chosen = Wanted(
        older_than=hours and timedelta(hours=hours),
        channel=wanted.get("channel"),
        service_id={"own": held.lab.service_id, "other": other}.get(wanted.get("service", "")),
    )
    found = decide(held, Decision.CANCEL, chosen)
    assert {kind: count for kind, count in found.items() if count} == done
    left = {kind: count - done.get(kind, 0) for kind, count in ALL.items()}
    assert held.counts() == {kind: count for kind, count in left.items() if count}
    assert not is_over(held)


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_a_lot_is_decided_about_in_parts(held: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "CHUNK", 2)
    assert decide(held, Decision.MARK_SENT) == ALL
    assert is_over(held)
    assert held.is_even()


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_what_people_cancel_meanwhile_is_nobodys_to_decide(held: Harness) -> None:
    by = Actor("person", "ada@lab.example")
    assert again.cancel(held.lab.service_id, UUID(held.ids["queued"]), by) == 1
    assert held.counts()["delivery"] == ALL["delivery"] - 1
    assert decide(held, Decision.MARK_SENT)["delivery"] == ALL["delivery"] - 1
    assert held.status("queued") == "CANCELLED"
    assert is_over(held)


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_a_batch_that_its_people_had_held_back_stays_so(harness: Harness) -> None:
    manage.pause(harness.lab.service_id, "run-1")
    harness.back_up()
    recognition.look_once()
    harness.restore()
    before = harness.left()[0]
    decide(harness, Decision.RELEASE)
    harness.clock.forward(hours=1)
    harness.work()
    assert (harness.status("b-1"), harness.status("c-1")) == ("BUFFERED", "SENT")
    manage.release(harness.lab.service_id, "run-1")
    harness.work()
    assert harness.status("b-1") == "SENT"
    assert harness.left()[0] == before + 9


def run(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(carillon, ["held", *arguments])
    assert done.exit_code == 0, done.output
    (line,) = done.stdout.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_one_command_says_what_would_go_and_decides(held: Harness) -> None:
    said = run()
    assert (said["held"], said["total"]) == (True, sum(ALL.values()))
    assert said["why"]
    assert said["since"].endswith("Z")
    (mails,) = [group for group in said["groups"] if group["kind"] == "delivery"]
    assert (mails["channel"], mails["service"], mails["count"]) == ("EMAIL", "Laboratory", 5)
    assert mails["ages"] == {"up to 1 hour": 4, "up to 1 day": 1, "up to 7 days": 0, "older": 0}
    assert {group["channel"] for group in said["groups"]} == {"EMAIL", "CALLBACK"}

    line = ("--older-than", "2h", "--channel", "EMAIL", "--service", "Laboratory")
    assert run("cancel", *line) == {
        "decision": "cancel",
        "done": ALL | {"delivery": 1, "batch": 0, "callback": 0, "spreadsheet": 0},
        "left": sum(ALL.values()) - 1,
    }
    assert run("mark-sent", "--channel", "CALLBACK")["done"]["callback"] == 1
    assert run("release")["left"] == 0
    assert run() == {"held": False, "since": None, "why": None, "total": 0, "groups": []}
    assert [action for _, action, _ in audited(held)] == ["held.cancelled", "held.marked_sent", "held.released"]
    assert audited(held)[0][2] == {"delivery": 1, "older_than_seconds": 7200.0, "channel": "EMAIL"}


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_what_cannot_be_meant_is_refused_in_a_sentence(held: Harness) -> None:
    for arguments, sentence in REFUSED:
        done = CliRunner().invoke(carillon, ["held", *arguments])
        assert done.exit_code != 0
        assert sentence in done.output
    assert held.counts() == ALL


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_an_installation_is_held_by_command(harness: Harness) -> None:
    found = run("hold")
    # What a living worker has in its hands is its own.
    assert found == {"held": ALL | {"delivery": ALL["delivery"] - 1}}
    before = harness.left()
    harness.clock.forward(hours=1)
    assert harness.sender.send_some() == 0
    assert harness.left() == before
    assert run("release")["left"] == 0
