"""Workers are killed while they send a spreadsheet: every row becomes one message, and none becomes two."""

import io
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import func, select

from backend.accounts.audit import Actor
from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.notifications import Delivery, Notification, Usage
from backend.db.models.spreadsheets import Spreadsheet
from backend.jobs import control
from tests.factories import laboratory
from tests.storms.installation import Installation, Mailbox, wait_until

ROWS = 1000  # 400 are sent at once
PATIENCE = 240  # seconds; processes start slowly on a busy machine
pytestmark = pytest.mark.timeout(600)
BY = Actor("person", "ada@lab.example")


def table() -> io.BytesIO:
    """Write a file in which every hundredth row is faulty."""
    lines = (f"{'' if row % 100 == 0 else f'p{row}'}@lab.example,S-{row}" for row in range(1, ROWS + 1))
    return io.BytesIO("\n".join(["email address,sample_id", *lines]).encode())


def test_killed_workers_lose_and_double_no_row(database: Database, tmp_path: Path) -> None:
    lab = laboratory(database, daily_limit=10 * ROWS)

    def sheet() -> Spreadsheet:
        with database.read() as session:
            return session.scalars(select(Spreadsheet)).one()

    def count(model: type) -> int:
        with database.read() as session:
            return session.scalar(select(func.count()).select_from(model)) or 0

    with Mailbox(tmp_path / "mailbox") as mailbox, Installation(tmp_path, mailbox.address) as home:
        template = control.template_of(lab.service_id, "X_SAMPLE")
        chosen = control.Upload(
            name="", file_name="a.csv", template=template, channel=Channel.EMAIL, subject="A sample"
        )
        job_id = control.upload(lab.service_id, chosen, table(), BY)
        worker = home.start("worker")
        wait_until(lambda: sheet().good_rows > 0, PATIENCE, home.lines)
        home.kill(worker)
        assert sheet().stage == "CHECKING"
        worker = home.start("worker")
        wait_until(lambda: sheet().stage == "CHECKED", PATIENCE, home.lines)
        control.send(lab.service_id, job_id, None, BY)
        wait_until(lambda: sheet().taken_rows > 0, PATIENCE, home.lines)
        home.kill(worker)
        assert 0 < sheet().taken_rows < ROWS - ROWS // 100
        worker = home.start("worker")
        good = ROWS - ROWS // 100
        wait_until(lambda: sheet().stage == "DONE" and mailbox.count() >= good, PATIENCE, home.lines)
        home.stop(worker, 20)
        copies = mailbox.copies()
    with database.read() as session:
        statuses = Counter(dict(session.execute(select(Delivery.status, func.count()).group_by(Delivery.status)).all()))
        addresses = session.scalars(select(Delivery.address)).all()
        assert session.scalars(select(Usage.count)).all() == [good]
    assert (count(Notification), len(addresses), len(set(addresses))) == (good, good, good)
    assert (sheet().taken_rows, sheet().faulty_rows) == (good, ROWS // 100)
    assert statuses == {"SENT": good}
    # A mail may come twice, with the same identity, when its worker is killed between the server's answer and its note.
    assert len(copies) == good
