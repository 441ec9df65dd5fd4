"""A real backup that is put back is recognised, and nothing of it leaves; ordinary life holds nothing back."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from backend.batching import manage
from backend.commands import starting
from backend.db.database import Database
from backend.intake.accept import accept_many
from backend.lib import settings
from backend.lib.problems import Problem
from backend.restored import detection, marks, memory, recognition, tasks
from backend.restored.recognition import NotLoaded, Recognition
from tests.conftest import MovableClock
from tests.factories import laboratory, notification
from tests.full_disk import Disk
from tests.restored import backup
from tests.restored.conftest import ALL, BATCH, Harness


def test_nothing_of_a_restored_database_leaves_and_what_is_new_does(harness: Harness) -> None:
    harness.back_up()
    harness.clock.forward(minutes=30)
    harness.work()
    mails, posts = harness.left()
    assert (mails, posts > 0) == (1 + 5 + 2 + 2, True)
    recognition.look_once()

    seen = harness.restore()
    assert seen.why is not None
    assert dict(seen.held) == ALL
    assert harness.counts() == ALL
    harness.clock.forward(hours=30)
    harness.work()
    assert harness.left() == (mails, posts)
    assert harness.statuses() == {"SENT": 1, "QUEUED": 4, "RETRYING": 1}
    assert "held" in " ".join(harness.told("queued"))
    with pytest.raises(Problem, match="its operators decide"):
        manage.flush_now(harness.lab.service_id, "run-1")
    with pytest.raises(Problem, match="its operators decide"):
        manage.release(harness.lab.service_id, "run-1")

    harness.accept("new")
    harness.accept("b-new", **BATCH)
    harness.clock.forward(minutes=30)
    harness.work()
    assert harness.left()[0] == mails + 2
    assert (harness.status("new"), harness.status("b-new")) == ("SENT", "SENT")
    assert harness.status("b-1") == "BUFFERED"
    assert harness.counts() == ALL
    assert harness.is_even()


def test_it_is_recognised_once_and_again_when_it_is_restored_again(harness: Harness) -> None:
    harness.back_up()
    recognition.look_once()
    assert harness.restore().why is not None
    harness.accept("new")
    for _ in range(2):
        seen = recognition.look_once()
        assert (seen.why, seen.held.total()) == (None, 0)
    assert harness.counts() == ALL
    assert dict(harness.restore().held) == ALL


@pytest.mark.parametrize("any_database", ["postgresql"], indirect=True)
def test_another_machine_that_remembers_the_life_before_holds_nothing_more(
    harness: Harness, configure: Callable[..., settings.Settings], tmp_path: Path
) -> None:
    own, theirs = str(settings.current().data_dir), str(tmp_path / "theirs")
    harness.back_up()
    configure(DATA_DIR=theirs)
    for _ in range(5):
        recognition.look_once()
    configure(DATA_DIR=own)
    assert harness.restore().why is not None
    harness.accept("new")
    configure(DATA_DIR=theirs)
    assert recognition.look_once().why is None
    assert harness.counts() == ALL
    assert harness.restore().why is not None, "and it remembers the new life"


def test_an_installation_without_anything_waiting_takes_a_copy_as_it_is(
    any_database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recognition.look_once()
    backup.take(any_database, tmp_path / "backup")
    recognition.look_once()
    backup.put_back(any_database, tmp_path / "backup")
    with caplog.at_level("INFO"):
        seen = recognition.look_once()
    assert (seen.why is not None, seen.held.total()) == (True, 0)
    assert "Nothing waits in it" in caplog.text
    assert recognition.look_once().why is None


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_starting_again_and_again_is_no_restoration(harness: Harness) -> None:
    epochs = {recognition.look_once().epoch for _ in range(4)}
    assert len(epochs) == 1
    assert not harness.held().groups


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_a_file_written_anew_between_two_starts_goes_on(harness: Harness, tmp_path: Path) -> None:
    recognition.look_once()
    harness.database.close()
    file = Path(harness.database.url.database or "")
    with sqlite3.connect(file) as connection:
        connection.execute(f"VACUUM INTO '{tmp_path / 'smaller'}'")
    connection.close()
    for left in file.parent.glob("carillon.db-*"):
        left.unlink()
    (tmp_path / "smaller").replace(file)
    assert recognition.look_once().why is None


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_vacuum_in_place_and_a_renamed_directory_go_on(
    harness: Harness, configure: Callable[..., settings.Settings], tmp_path: Path
) -> None:
    recognition.look_once()
    before = settings.current().data_dir
    harness.database.close()
    with sqlite3.connect(before / "carillon.db", isolation_level=None) as connection:
        connection.execute("VACUUM")
    connection.close()
    assert recognition.look_once().why is None
    before.rename(tmp_path / "elsewhere")
    configure(DATA_DIR=str(tmp_path / "elsewhere"))
    assert recognition.look_once().why is None


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("way", ["copied", "written over"])
def test_a_whole_data_directory_that_is_put_back(harness: Harness, tmp_path: Path, way: str) -> None:
    recognition.look_once()
    harness.database.close()
    folder, kept = settings.current().data_dir, tmp_path / "kept"
    shutil.copytree(folder, kept)
    recognition.look_once()
    if way == "copied":
        shutil.rmtree(folder)
    shutil.copytree(kept, folder, dirs_exist_ok=True)
    assert dict(recognition.look_once().held) == ALL


@pytest.mark.parametrize("any_database", ["postgresql"], indirect=True)
def test_a_dump_on_a_machine_that_remembers_nothing(harness: Harness) -> None:
    harness.back_up()
    for file in settings.current().data_dir.glob("installation-*"):
        file.unlink()
    assert dict(harness.restore().held) == ALL


@pytest.mark.parametrize("any_database", ["postgresql"], indirect=True)
def test_a_database_that_lost_what_was_newest_in_its_place(harness: Harness) -> None:
    """As after a restoration of the whole cluster's files, or a failover that lost minutes: all marks are the same."""
    recognition.look_once()
    for _ in range(3):
        recognition.look_once()
    with harness.database.transaction() as session:
        session.execute(text("UPDATE installation SET counter = counter - 2"))
    seen = recognition.look_once()
    assert seen.why == detection.OLDER
    assert dict(seen.held) == ALL


def test_a_database_from_before_it_was_counted(harness: Harness) -> None:
    recognition.look_once()
    with harness.database.transaction() as session:
        session.execute(text("UPDATE installation SET epoch = NULL, counter = 0, marks = NULL"))
    assert dict(recognition.look_once().held) == ALL


@pytest.mark.parametrize("any_database", ["postgresql"], indirect=True)
def test_a_running_worker_meets_a_restored_database_with_its_next_connection(harness: Harness) -> None:
    harness.back_up()
    running = Recognition()
    running.look()
    running.guard(harness.database)
    backup.put_back(harness.database, harness.kept)
    mails, _ = harness.left()
    harness.work()
    assert harness.left()[0] == mails
    assert harness.counts() == ALL
    running.close()


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_a_database_that_is_being_loaded_is_waited_for(harness: Harness) -> None:
    with harness.database.transaction() as session:
        session.execute(text("DELETE FROM installation"))
    with pytest.raises(NotLoaded, match="being loaded"):
        recognition.look_once()


def test_a_database_that_takes_nothing_is_looked_at_later(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognition, "Database", lambda _url: database)
    with Disk(database).filled("read only"):
        starting._see_whether_it_was_restored()
        assert "could not be looked at: it is read-only" in caplog.text
        with pytest.raises(OperationalError):
            recognition.look_once()
    assert recognition.look_once().why is None


def test_a_data_directory_that_takes_nothing_is_said_once(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_epoch: str, _counter: int) -> None:
        raise PermissionError(13, "Permission denied")

    running = Recognition()
    monkeypatch.setattr(memory, "remember", refuse)
    assert {running.look().why, running.look().why} == {None}
    running.close()
    assert caplog.text.count("does not take what is to be remembered of the database: Permission denied") == 1


def test_a_file_has_another_mark_than_its_copy_and_keeps_it(tmp_path: Path, moving_clock: MovableClock) -> None:
    file = tmp_path / "one"
    file.write_text("first")
    mark = marks.of_file(file)
    file.write_text("second, over it")
    assert marks.of_file(file) == mark
    file.rename(tmp_path / "two")
    assert marks.of_file(tmp_path / "two") == mark
    shutil.copy2(tmp_path / "two", file)
    assert marks.of_file(file) != mark
    (tmp_path / "two").unlink()
    (tmp_path / "two").write_text("perhaps with the same inode")
    assert marks.of_file(tmp_path / "two") != mark


def test_a_queue_that_is_elsewhere_remembers_for_machines_that_are_new(redis_database: Database) -> None:
    """As after a restoration of the whole cluster's files, which takes all marks along, with new machines."""
    lab = laboratory(redis_database)
    assert accept_many([lab.submission(notification())], lambda _priorities: None)
    for _ in range(3):
        recognition.look_once()
    tasks._once_a_minute.again()
    tasks.remember.run()
    for file in settings.current().data_dir.glob("installation-*"):
        file.unlink()
    assert recognition.look_once().why is None
    with redis_database.transaction() as session:
        session.execute(text("UPDATE installation SET counter = 1"))
    for file in settings.current().data_dir.glob("installation-*"):
        file.unlink()
    seen = recognition.look_once()
    assert seen.why == detection.OLDER
    assert seen.held["delivery"] == 1


@pytest.mark.parametrize("any_database", ["sqlite", "postgresql"], indirect=True)
def test_a_queue_beside_the_database_is_asked_nothing(any_database: Database) -> None:
    assert not memory.queue_is_elsewhere()


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_what_is_remembered_is_for_the_owner_alone(harness: Harness) -> None:
    recognition.look_once()
    (file,) = settings.current().data_dir.glob("installation-*")
    assert file.stat().st_mode & 0o777 == 0o600
