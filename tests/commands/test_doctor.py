"""What ``carillon doctor`` says of an installation that is not well, a sentence for each fault, and its exit status."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from click.testing import CliRunner
from sqlalchemy import text, update

from backend.commands import inspect
from backend.db.database import Database
from backend.db.models.notifications import Delivery
from backend.db.models.operations import Worker
from backend.delivery.providers import routes
from backend.doctor import examination
from backend.intake.accept import accept_many
from backend.lib import clock, metrics, queue, settings
from backend.monitoring import gauges
from tests.conftest import MovableClock
from tests.factories import laboratory, notification
from tests.full_disk import STATES, Disk


def doctor() -> tuple[int, dict[str, tuple[str, str]]]:
    """Return the exit status and, by what was looked at, the mark and the sentence."""
    done = CliRunner().invoke(inspect.doctor)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    lines = [line.split(maxsplit=2) for line in done.output.splitlines() if not line.startswith(" ")]
    return done.exit_code, {name: (mark, rest) for mark, name, rest in lines}


def fault(name: str) -> str:
    """Return what the doctor says is wrong with one thing, which must be all that is wrong."""
    status, found = doctor()
    assert status == 1
    assert [one for one, (mark, _) in found.items() if mark != "ok"] == [name], found
    return found[name][1]


def accept(database: Database, count: int = 1) -> None:
    lab = laboratory(database)
    accept_many([lab.submission(notification(f"S-{number}")) for number in range(count)], lambda _priorities: None)


def seen(database: Database, ago: timedelta = timedelta()) -> None:
    """Let a worker have been heard of so long ago."""
    with database.transaction() as session:
        session.add(Worker(name="elsewhere/4/12/a1", started_at=clock.now() - ago, seen_at=clock.now() - ago))


def test_an_installation_in_which_nothing_waits_is_well_without_a_worker(database: Database) -> None:
    status, found = doctor()
    assert (status, {mark for mark, _ in found.values()}) == (0, {"ok"})
    assert found["workers"][1].startswith("none is running; nothing waits for one")


@pytest.mark.parametrize("state", STATES)
def test_a_disk_that_takes_no_more(database: Database, state: str) -> None:
    with Disk(database).filled(state):
        said = fault("storage")
    assert said.startswith(f"cannot be used: {'its disk is full' if state == 'full' else 'it is read-only'} (")
    assert doctor()[0] == 0


def test_a_disk_that_is_nearly_full(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: type("Usage", (), {"free": 5 * 1024**2, "total": 1024**3}))
    assert "has 5 MiB left: make room" in fault("storage")


def test_a_database_that_was_not_migrated(database: Database) -> None:
    with database.transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    status, found = doctor()
    assert status == 1
    assert found["database"][0] == "FAULT"
    assert "at migration 0004, but" in found["database"][1]
    assert "run `carillon migrate`" in found["database"][1]
    assert {name for name, (mark, _) in found.items() if mark == "-"} >= {"storage", "workers", "doubt", "ledger"}
    assert found["queue"][0] == "ok"


@pytest.mark.parametrize(
    ("setting", "at", "well"),
    [
        (("CARILLON_PORT", "soon"), "settings", set()),
        (("CARILLON_EMAIL_PROVIDERS", "pigeon://roof"), "providers", {"settings", "database", "queue", "ledger"}),
    ],
)
def test_a_setting_at_fault_is_named_once(
    database: Database, monkeypatch: pytest.MonkeyPatch, setting: tuple[str, str], at: str, well: set[str]
) -> None:
    monkeypatch.setenv(*setting)
    settings.current.cache_clear()
    routes.routes.cache_clear()
    status, found = doctor()
    assert status == 1
    assert [one for one, (mark, _) in found.items() if mark == "FAULT"] == [at]
    assert setting[0] in found[at][1]
    assert {one for one, (mark, _) in found.items() if mark == "ok"} >= well
    for mark, answer in found.values():
        assert mark != "-" or answer == f"not looked at: mend the fault of the {at} first"


def test_a_queue_that_is_gone(
    database: Database, configure: Callable[..., settings.Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARILLON_QUEUE_URL", "redis://:secret-word@127.0.0.1:1/0")
    settings.current.cache_clear()
    queue.reset()
    said = fault("queue")
    assert said.startswith("cannot be used: it cannot be reached (")
    assert "secret-word" not in said


def test_a_part_that_does_not_answer_is_not_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()
    monkeypatch.setattr(queue.huey().storage, "put_data", lambda _key, _value: asked.wait(10))
    monkeypatch.setattr(examination, "PATIENCE_SECONDS", 1.0)
    said = fault("queue")
    asked.set()
    assert said == "does not answer within 1 s"


def test_workers_that_are_not_running(database: Database, moving_clock: MovableClock) -> None:
    seen(database, timedelta(minutes=2))
    assert "none is running, the last was heard of 120 seconds ago" in fault("workers")
    with database.transaction() as session:
        session.execute(update(Worker).values(seen_at=clock.now()))
    status, found = doctor()
    assert (status, found["workers"]) == (0, ("ok", "1 running, heard of in the last 20 seconds"))


def test_messages_that_nobody_takes_up(database: Database, moving_clock: MovableClock) -> None:
    accept(database, 3)
    assert fault("workers") == "none is running, and 3 messages and 0 batches wait: start `carillon worker`"
    seen(database)
    assert doctor()[0] == 0
    moving_clock.forward(minutes=5)
    with database.transaction() as session:
        session.execute(update(Worker).values(seen_at=clock.now()))
    assert fault("messages").startswith("3 wait, the longest for 300 seconds beyond its time")


def test_messages_of_unknown_outcome_are_named_and_counted(database: Database, moving_clock: MovableClock) -> None:
    accept(database, 2)
    seen(database)
    with database.transaction() as session:
        session.execute(update(Delivery).values(status="SENDING", doubt="person", due_at=clock.now()))
    moving_clock.forward(minutes=90)
    with database.transaction() as session:
        session.execute(update(Worker).values(seen_at=clock.now()))
    assert fault("doubt").startswith(
        "2 messages of which nobody knows whether their provider took them, the oldest for"
    )
    assert "1 h 30 min" in doctor()[1]["doubt"][1]
    gauges.clear()
    figures = metrics.exposition(gauges.State()).decode()
    gauges.clear()
    assert "\ncarillon_deliveries_in_doubt 2.0\n" in figures
    assert "\ncarillon_oldest_doubt_seconds 5400.0\n" in figures
