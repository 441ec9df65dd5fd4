"""A worker's steps: each row once whatever happens in between, the day's limit, stopping, sending again, memory."""

import io
import tracemalloc
from itertools import islice

import pytest
from sqlalchemy import func, select, update

from backend.db.database import Database
from backend.db.leases import LostError
from backend.db.models.notifications import Delivery, DeliveryStatus, Event, Notification
from backend.db.models.operations import Worker
from backend.db.models.registry import TemplateVersion
from backend.db.models.spreadsheets import Spreadsheet
from backend.delivery import tasks as delivery_tasks
from backend.delivery.sending.send import Sender
from backend.jobs import claims, control, files, table, tasks, work
from backend.lib import clock
from backend.monitoring import ledger
from backend.registry.templates import Variant
from tests.conftest import MovableClock
from tests.factories import laboratory
from tests.jobs.conftest import BY, Bureau


def csv_of(count: int) -> str:
    return "email address,sample_id\n" + "".join(f"p{row}@lab.example,S-{row}\n" for row in range(2, count + 2))


def test_a_group_reaches_each_of_its_addresses(bureau: Bureau) -> None:
    bureau.lab.recipient("X_TWO", ("EMAIL", "one@lab.example"), ("EMAIL", "two@lab.example"), ("SLACK", "#lab"))
    bureau.upload("recipient,sample_id\nX_TWO,S-1\n")
    bureau.work()
    bureau.send()
    assert bureau.work().stage == "DONE"
    assert bureau.addresses() == ["one@lab.example", "two@lab.example"]
    with bureau.lab.database.read() as session:
        assert [entry.imbalance for entry in ledger.balance(session)] == [0]


def test_a_row_that_was_stored_is_stored_and_counted_no_second_time(
    any_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    bureau = Bureau(laboratory(any_database))
    monkeypatch.setattr(work, "SENT_AT_ONCE", 4)
    bureau.upload(csv_of(10))
    bureau.work()
    bureau.send()
    start = bureau.sheet()
    bureau.work()
    with any_database.transaction() as session:
        back = {"stage": "SENDING", "position": start.position, "next_row": start.next_row}
        session.execute(update(Spreadsheet).values(**back))
    files.keep(io.BytesIO(csv_of(10).encode()), start.uid)  # it went when all was done
    assert bureau.work().stage == "DONE"
    assert sorted(bureau.addresses()) == sorted(f"p{row}@lab.example" for row in range(2, 12))
    with any_database.read() as session:
        assert [(entry.accepted, entry.imbalance) for entry in ledger.balance(session)] == [(10, 0)]


def test_the_days_limit_makes_the_rest_wait_for_tomorrow(database: Database, moving_clock: MovableClock) -> None:
    bureau = Bureau(laboratory(database, daily_limit=3))
    bureau.upload(csv_of(5))
    bureau.work()
    bureau.send()
    sheet = bureau.work()
    assert (sheet.taken_rows, sheet.stage) == (3, "SENDING")
    assert sheet.note is not None
    assert "The rest is sent from midnight UTC on." in sheet.note
    assert bureau.work().taken_rows == 3
    moving_clock.forward(hours=15)
    sheet = bureau.work()
    assert (sheet.taken_rows, sheet.stage, sheet.note) == (5, "DONE", None)
    assert len(set(bureau.addresses())) == 5


def test_what_was_stopped_takes_no_further_row(bureau: Bureau, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "SENT_AT_ONCE", 2)
    monkeypatch.setattr(tasks, "_SLICE_SECONDS", -1.0)
    bureau.upload(csv_of(6))
    bureau.work()
    bureau.work()
    bureau.send()
    assert bureau.work().taken_rows == 2
    with bureau.lab.database.transaction() as session:  # one is claimed by a worker
        held = update(Delivery).where(Delivery.id == 1).values(status="SENDING", claimed_by="a-worker")
        session.execute(held)
    control.stop(bureau.lab.service_id, bureau.job_id, BY)
    assert bureau.work().stage == "STOPPING"
    with bureau.lab.database.read() as session:
        assert dict(session.execute(select(Delivery.status, func.count()).group_by(Delivery.status)).all()) == {
            "SENDING": 1,
            "CANCELLED": 1,
        }
    assert not bureau.work().claimed_by


def test_what_is_cancelled_names_who_stopped_it_whatever_came_between(bureau: Bureau) -> None:
    bureau.upload(csv_of(1))
    bureau.work()
    bureau.send()
    bureau.work()
    control.stop(bureau.lab.service_id, bureau.job_id, BY)
    with bureau.lab.database.transaction() as session:
        session.execute(update(Spreadsheet).values(note="The file could not be read."))
    assert bureau.work().note is None
    with bureau.lab.database.read() as session:
        (detail,) = session.scalars(select(Event.detail).where(Event.kind == "cancelled"))
    assert detail == f"asked for by {BY.name}, of the whole job."


def test_only_what_failed_is_sent_again(bureau: Bureau) -> None:
    bureau.upload(csv_of(4))
    bureau.work()
    bureau.send()
    bureau.work()
    with bureau.lab.database.transaction() as session:
        session.execute(update(Delivery).values(status="SENT"))
        session.execute(update(Delivery).where(Delivery.id <= 2).values(status="FAILED", attempts=9))
        session.execute(update(Notification).values(status="SENT"))
        session.execute(update(Notification).where(Notification.id <= 2).values(status="FAILED"))
    control.again(bureau.lab.service_id, bureau.job_id, BY)
    assert bureau.work().stage == "DONE"
    with bureau.lab.database.read() as session:
        queued = session.execute(select(Delivery.id, Delivery.attempts).where(Delivery.status == DeliveryStatus.QUEUED))
        assert [tuple(row) for row in queued] == [(1, 0), (2, 0)]


def test_one_worker_holds_a_spreadsheet_until_it_is_gone(bureau: Bureau, moving_clock: MovableClock) -> None:
    bureau.upload(csv_of(1))
    first, second = claims.Claims("machine/1/first"), claims.Claims("machine/2/second")
    one, two = first.lease.ready(), second.lease.ready()
    with bureau.lab.database.transaction() as session:
        assert first.take(session, one, bureau.job_id)
        assert not first.take(session, one, bureau.job_id)
        assert not second.take(session, two, bureau.job_id)
        assert claims.waiting(session, two, 10) == []
    other = Sender(second.lease)
    for _ in range(5):
        second.lease.extend()
        delivery_tasks.recover(other)
        moving_clock.forward(seconds=5)
    with bureau.lab.database.transaction() as session:
        assert claims.waiting(session, two, 10) == [bureau.job_id]
        assert second.take(session, two, bureau.job_id)
        with pytest.raises(LostError):
            claims.held(session, bureau.job_id, one, work.Stage.CHECKING)
    first.lease.extend()
    assert first.lease.token != one, "what comes back is another one"
    with bureau.lab.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Worker)) == 2


def test_a_file_that_is_gone_is_said_and_waited_for(bureau: Bureau) -> None:
    bureau.upload(csv_of(1))
    files.drop(bureau.sheet().uid)
    sheet = bureau.work()
    assert (sheet.stage, sheet.claimed_by) == ("CHECKING", None)
    assert sheet.note is not None
    assert "not in the database" in sheet.note
    assert sheet.due_at > clock.now()


def test_a_file_that_nobody_sends_is_deleted(bureau: Bureau, moving_clock: MovableClock) -> None:
    bureau.upload(csv_of(1))
    sheet = bureau.work()
    moving_clock.forward(days=7)
    files.tidy()
    assert files.is_there(sheet.uid)
    moving_clock.forward(days=2)
    files.tidy()
    assert bureau.sheet().stage == "EXPIRED"
    assert not files.is_there(sheet.uid)


def test_rows_are_read_with_as_little_memory_for_many_as_for_few(bureau: Bureau) -> None:
    bureau.upload(csv_of(30_000))
    rows = table.records(files.opened(bureau.sheet().uid), ",")
    tracemalloc.start()
    few = sum(1 for _ in islice(rows, 15_000)), tracemalloc.get_traced_memory()[1]
    many = sum(1 for _ in rows), tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert many[0] == 15_001
    assert many[1] < few[1] + 100_000


def test_each_row_goes_in_the_language_of_its_group(bureau: Bureau) -> None:
    german = Variant(source="<p>Probe {{ sample_id }}</p>")
    bureau.lab.template("X_SAMPLE", "<p>Sample {{ sample_id }}</p>", language="en", variants={"de": german})
    bureau.lab.recipient("X_DE", ("EMAIL", "de@lab.example"), language="de")
    bureau.lab.recipient("X_FR", ("EMAIL", "fr@lab.example"), language="fr")
    bureau.upload("recipient,sample_id\nX_DE,S-1\nX_LAB,S-2\nX_FR,S-3\n")
    bureau.work()
    bureau.send()
    bureau.work()
    with bureau.lab.database.read() as session:
        wanted = select(Delivery.address, TemplateVersion.language)
        joined = wanted.join(TemplateVersion, TemplateVersion.id == Delivery.template_version_id)
        languages = dict(session.execute(joined).tuples().all())
        told = session.scalars(select(Event.detail).where(Event.kind == "other_language")).all()
    assert languages == {"de@lab.example": "de", "lab@lab.example": "en", "fr@lab.example": "en"}
    assert told == ["X_SAMPLE has no variant in fr for X_FR: the one in en goes instead."]
