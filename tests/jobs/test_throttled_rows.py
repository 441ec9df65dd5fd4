"""Rows that are one too many for their recipients: each becomes what its throttle says, once, and what was foreseen."""

import io
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, update

from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Notification, OutboxMessage, Usage
from backend.db.models.sending import ThrottleUse
from backend.db.models.spreadsheets import MOVING, Spreadsheet, Stage
from backend.intake.accept import accept_many
from backend.jobs import control, exports, files, preview, work
from backend.lib import clock
from backend.registry import sending_rules
from backend.registry.sending import SERVICE, Throttle
from tests.factories import notification as body
from tests.jobs.conftest import BY, Bureau
from tests.scheduling.conftest import Calendar, calendar

__all__ = ["calendar"]

REFUSE = Throttle(most=2, per="1h")
DIGEST = Throttle(most=2, per="1h", then="digest", digest_template="X_LIST")
ROWS = ["X_LAB", "X_LAB", "X_LAB", "X_DUTY", "X_LAB"]


class Mailing(Bureau):
    """Five rows, four of them to the same recipient."""

    def __init__(self, calendar: Calendar) -> None:
        super().__init__(calendar.lab)
        self.calendar = calendar
        self.lab.recipient("X_DUTY", ("EMAIL", "duty@lab.example"))
        self.lab.template("X_SAMPLE", "{{ fields.sample_id }}", format="text")

    def work(self) -> Spreadsheet:
        """Let a worker take turns until there is nothing to do at once: on a busy machine one is soon over."""
        sheet = super().work()
        while Stage(sheet.stage) in MOVING and sheet.due_at <= clock.now():
            sheet = super().work()
        return sheet

    def hold(self, throttle: Throttle) -> None:
        with self.lab.database.transaction() as session:
            sending_rules.put_throttle(session, self.lab.service_id, SERVICE, throttle)

    def check(self, column: str = "recipient", names: list[str] | None = None) -> str:
        lines = [f"{name},S-{number}\n" for number, name in enumerate(names or ROWS, 2)]
        text = f"{column},sample_id\n" + "".join(lines)
        self.upload(text)
        self.work()
        return text

    def send_all(self) -> Spreadsheet:
        self.send()
        return self.work()

    def statuses(self) -> list[str]:
        """Return what became of the rows, in their order."""
        with self.lab.database.read() as session:
            own = select(Notification.status).where(Notification.job_id == self.job_id)
            return list(session.scalars(own.order_by(Notification.id)))

    def sent(self) -> list[str]:
        with self.lab.database.read() as session:
            return [text.strip() for text in session.scalars(select(OutboxMessage.text).order_by(OutboxMessage.id))]

    def count(self, column: Any) -> int:
        with self.lab.database.read() as session:
            return session.scalar(select(func.count(column))) or 0

    def accepted(self) -> int:
        with self.lab.database.read() as session:
            return session.scalar(select(func.sum(Usage.count))) or 0


@pytest.fixture
def mailing(calendar: Calendar) -> Mailing:
    return Mailing(calendar)


def test_rows_that_are_too_many_join_the_digest(mailing: Mailing) -> None:
    mailing.hold(DIGEST)
    mailing.check()
    foreseen = [one.held for one in preview.first_rows(mailing.lab.service_id, mailing.job_id)]
    assert mailing.statuses() == []
    sheet = mailing.send_all()
    assert (sheet.stage, sheet.taken_rows, sheet.faulty_rows) == ("DONE", 5, 0)
    assert Counter(mailing.statuses()) == {"DISPATCHED": 3, "BUFFERED": 2}
    why = "The recipient X_LAB gets at most 2 messages of the service in 1h."
    assert foreseen == [None, None, f"Would join a digest made with X_LIST. {why}", None, foreseen[2]]
    # What joins takes nothing; its batch will.
    assert (mailing.count(ThrottleUse.id), mailing.accepted()) == (3, 5)
    mailing.calendar.check_ledger()
    table = exports.results(mailing.lab.service_id, mailing.job_id)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert Counter((row["row"], row["recipient"], row["status"]) for row in rows) == Counter(
        [
            (2, "X_LAB", "QUEUED"),
            (3, "X_LAB", "QUEUED"),
            (4, "X_LAB", "BUFFERED"),
            (5, "X_DUTY", "QUEUED"),
            (6, "X_LAB", "BUFFERED"),
        ]
    )
    joined = next(row["notification_id"] for row in rows if row["row"] == 4)
    assert f"{why} It joins a digest instead." in mailing.calendar.told(str(joined))

    mailing.calendar.work()
    assert sorted(mailing.sent()) == ["S-2", "S-3", "S-5"]
    mailing.calendar.clock.forward(hours=1, seconds=1)
    mailing.calendar.work()
    assert mailing.sent()[3:] == ["[S-4][S-6]"]
    assert set(mailing.statuses()) == {"SENT"}
    mailing.calendar.check_ledger()


def test_rows_that_are_too_many_are_refused_where_the_throttle_says_so(mailing: Mailing) -> None:
    mailing.hold(REFUSE)
    mailing.check()
    foreseen = [one.held for one in preview.first_rows(mailing.lab.service_id, mailing.job_id)]
    sheet = mailing.send_all()
    assert (sheet.stage, sheet.taken_rows, sheet.good_rows, sheet.faulty_rows) == ("DONE", 3, 3, 2)
    assert mailing.statuses() == ["DISPATCHED"] * 3
    why = "The recipient X_LAB gets at most 2 messages of the service in 1h."
    assert [(row, column, why in reason) for row, column, reason in mailing.faults()] == [
        (4, "recipient", True),
        (6, "recipient", True),
    ]
    assert foreseen == [None, None, f"Would be refused. {why}", None, f"Would be refused. {why}"]
    assert (mailing.count(ThrottleUse.id), mailing.accepted()) == (3, 3)
    mailing.calendar.check_ledger()


@pytest.mark.parametrize(
    ("column", "names"),
    [
        pytest.param("email address", ["a@lab.example"] * 3, id="a row that names an address"),
        pytest.param("recipient", ["X_LAB"] * 3, id="a row that names a recipient"),
    ],
)
def test_what_no_digest_can_keep_waits_its_turn(mailing: Mailing, column: str, names: list[str]) -> None:
    mailing.lab.template("X_LIST", "{{ fields[0].gone }}", format="text")
    mailing.hold(DIGEST)
    mailing.check(column, names)
    foreseen = [one.held for one in preview.first_rows(mailing.lab.service_id, mailing.job_id)]
    assert foreseen[:2] == [None, None]
    assert (foreseen[2] or "").startswith("Would wait for its turn. Waits until ")
    assert mailing.send_all().taken_rows == 3
    assert mailing.statuses() == ["DISPATCHED", "DISPATCHED", "SCHEDULED"]
    mailing.calendar.work()
    assert mailing.sent() == ["S-2", "S-3"]
    mailing.calendar.clock.forward(hours=1, seconds=1)
    mailing.calendar.work()
    assert mailing.sent() == ["S-2", "S-3", "S-4"]


def test_a_row_that_would_break_the_digest_of_those_before_it_does_not_join_it(mailing: Mailing) -> None:
    mailing.lab.template("X_LIST", "{{ 12 // (3 - fields | length) }}", format="text")
    mailing.hold(DIGEST)
    mailing.check(names=["X_LAB"] * 6)
    mailing.send_all()
    assert mailing.statuses().count("BUFFERED") == 2
    assert mailing.statuses().count("SCHEDULED") == 2


def test_a_step_that_is_done_twice_or_dies_in_between_joins_once(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailing.hold(DIGEST)
    text = mailing.check()
    mailing.send()
    start = mailing.sheet()

    def dies(*_args: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(work, "_advance", dies)
        mailing.work()
    assert (mailing.statuses(), mailing.count(ThrottleUse.id), mailing.count(Batch.id)) == ([], 0, 0)
    mailing.calendar.clock.forward(minutes=5)  # it is tried again after a while
    mailing.work()
    with mailing.lab.database.transaction() as session:
        back = {"stage": "SENDING", "position": start.position, "next_row": start.next_row}
        session.execute(update(Spreadsheet).values(**back))
    files.keep(io.BytesIO(text.encode()), start.uid)  # it went when all was done
    assert mailing.work().stage == "DONE"
    assert Counter(mailing.statuses()) == {"DISPATCHED": 3, "BUFFERED": 2}
    assert (mailing.count(BatchMember.id), mailing.count(ThrottleUse.id), mailing.accepted()) == (2, 3, 5)
    mailing.calendar.check_ledger()


def test_rows_and_notifications_at_once_are_held_to_one_number(mailing: Mailing) -> None:
    mailing.hold(Throttle(most=7, per="1h", then="digest", digest_template="X_LIST"))
    mailing.check(names=["X_LAB"] * 20)
    mailing.send()

    def some(worker: int) -> None:
        for number in range(5):
            accept_many([mailing.lab.submission(body(f"N-{worker}-{number}"))], lambda _new: None)

    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(some, worker) for worker in range(3)]
        rows = pool.submit(mailing.work)
        assert rows.result().taken_rows == 20
        for one in others:
            one.result()
    with mailing.lab.database.read() as session:
        found = Counter(session.scalars(select(Notification.status)))
    assert (found["DISPATCHED"], found["BUFFERED"], mailing.count(ThrottleUse.id)) == (7, 28, 7)
    mailing.calendar.check_ledger()


@pytest.mark.parametrize("then", ["digest", "wait"])
def test_a_stopped_job_sends_nothing_of_what_waits_for_room(mailing: Mailing, then: str) -> None:
    if then == "wait":
        mailing.lab.template("X_LIST", "{{ fields[0].gone }}", format="text")
    mailing.hold(DIGEST)
    if then == "wait":
        mailing.check("email address", ["a@lab.example"] * 5)
    else:
        mailing.check(names=["X_LAB"] * 5)
    mailing.send_all()
    mailing.calendar.work()
    control.stop(mailing.lab.service_id, mailing.job_id, BY)
    for _ in range(4):
        mailing.calendar.clock.forward(seconds=2)
        mailing.work()
    assert mailing.sheet().stage == "STOPPED"
    assert mailing.statuses() == ["SENT", "SENT", "CANCELLED", "CANCELLED", "CANCELLED"]
    mailing.calendar.clock.forward(hours=5)
    mailing.calendar.work()
    assert mailing.sent() == ["S-2", "S-3"]
    mailing.calendar.check_ledger()
