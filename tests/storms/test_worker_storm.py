"""Of two workers one is stopped for longer than its lease, killed, or has another time: what goes twice, what is lost.

``STORMS=all`` makes every run; the suite makes those in which most can go wrong.
"""

import json
import os
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import func, select

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.operations import Worker
from backend.intake.accept import accept_many
from tests.debian import program
from tests.factories import Laboratory, laboratory, notification
from tests.storms.installation import APART, Installation, Mailbox, wait_until
from tests.storms.rows import ALL, Row, record
from tests.storms.short_leases import SECONDS
from tests.vendors.http_server import Reply
from tests.vendors.twilio import TwilioServer

TEXTS, MAILS = 48, 400
# Mails that a thread has under way at once, with ``APART`` of them asked for.
ON_THE_WIRE = 8
HOUR = 3600
# On another machine, as far as the names of processes tell: its process ids are its own.
ELSEWHERE = ("unshare", "--pid", "--fork", "--kill-child")
Pid = int


class SlowTwilio(TwilioServer):
    """Takes its time for each text message, as a real one does, and notes when each came."""

    def __init__(self) -> None:
        super().__init__()
        self.moments: list[float] = []
        self._noting = threading.Lock()

    def accept(self) -> Reply:
        with self._noting:
            self.moments.append(time.time())
        self.http.over.wait(0.2)
        return super().accept()

    def copies(self) -> Counter[str]:
        """Count how often each text came."""
        return Counter(taken["Body"] for taken in list(self.taken))


@dataclass
class Stage:
    """Two workers to be, what they work on, and the providers."""

    lab: Laboratory
    home: Installation
    mailbox: Mailbox
    texts: SlowTwilio
    folder: Path

    def accept(self) -> None:
        """Accept text messages and mails without waking anybody."""
        sms = {"type": "SMS", "recipient": ["X_PHONE"], "subject": ..., "content_type": "text"}
        given = [self.lab.submission(notification(f"T-{number:03d}", **sms)) for number in range(TEXTS)]
        given += [self.lab.submission(notification(f"M-{number}")) for number in range(MAILS)]
        accept_many(given, lambda _priorities: None)

    def workers(self) -> int:
        """Count the workers that the database knows."""
        with self.lab.database.read() as session:
            return session.scalar(select(func.count()).select_from(Worker)) or 0

    def outcome_unknown(self, channel: Channel) -> list[str]:
        """List the samples of the messages about which a person has to decide."""
        with self.lab.database.read() as session:
            query = select(Notification.content).join(Delivery, Delivery.notification_id == Notification.id)
            query = query.where(Delivery.doubt == "person", Delivery.type == channel.value)
            contents = [json.loads(content or "") for content in session.scalars(query)]
        return [str(content["channels"][0]["fields"]["sample_id"]) for content in contents]

    def is_over(self) -> bool:
        """Tell whether everything has been sent, or waits for a person."""
        with self.lab.database.read() as session:
            left = select(func.count()).select_from(Delivery).where(Delivery.status != "SENT")
            left = left.where(func.coalesce(Delivery.doubt, "") != "person")
            return not session.scalar(left)

    def rows(self, fault: str) -> tuple[Row, Row]:
        """Record what came of the texts and of the mails."""
        times = [path.stat().st_mtime for path in self.mailbox.folder.glob("*.eml")]
        return (
            self._row(f"{fault}: texts", TEXTS, self.texts.copies(), self.texts.moments, Channel.SMS),
            self._row(f"{fault}: mails", MAILS, self.mailbox.copies(), times, Channel.EMAIL),
        )

    def _row(self, fault: str, accepted: int, copies: Counter[str], moments: list[float], channel: Channel) -> Row:
        stood = max((later - earlier for earlier, later in pairwise(sorted(moments))), default=0.0)
        outcome_unknown = self.outcome_unknown(channel)
        # Of texts, whose names in the copies are their words: what is unknown and never came is told to a person.
        asked = (
            sum(not any(sample in text for text in copies) for sample in outcome_unknown)
            if channel is Channel.SMS
            else 0
        )
        return record(
            Row(
                fault=fault,
                accepted=accepted,
                sent=len(copies),
                twice=copies.total() - len(copies),
                lost=accepted - len(copies) - asked,
                outcome_unknown=len(outcome_unknown),
                stood=stood,
            )
        )


@pytest.fixture
def stage(any_database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with SlowTwilio() as texts, Mailbox(tmp_path / "mailbox") as mailbox:
        monkeypatch.setenv("CARILLON_SMS_PROVIDERS", texts.address)
        with Installation(tmp_path, mailbox.address) as home:
            lab = laboratory(any_database)
            lab.recipient("X_PHONE", ("SMS", "+447700900404"))
            yield Stage(lab, home, mailbox, texts, tmp_path)


def child(process: subprocess.Popen[bytes]) -> Pid:
    """Return the worker's own number, where another program has started it as its child."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(found[0]) if found else process.pid


def begin(stage: Stage, *before: str, more: dict[str, str] | None = None) -> tuple[Pid, subprocess.Popen[bytes]]:
    """Start both workers, the first as is said, accept, and wait until both are in the midst of it."""
    first = stage.home.start_apart(*before, more=more or {})
    second = stage.home.start_apart()
    wait_until(lambda: stage.workers() == 2, 60, stage.home.lines)
    stage.accept()
    wait_until(lambda: len(stage.texts.moments) >= 2 * APART and stage.mailbox.count() > 0, 30, stage.home.lines)
    return child(first), second


def end(stage: Stage, first: Pid) -> None:
    """Wait until nothing is left to do, and until the first worker has done whatever it still had in hand."""
    wait_until(stage.is_over, 60, stage.home.lines)
    os.kill(first, signal.SIGTERM)
    wait_until(lambda: is_over(first), 30, stage.home.lines)


def is_over(pid: Pid) -> bool:
    """Tell whether a process has ended, though somebody may not have asked for its status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def check(texts: Row, mails: Row) -> None:
    """See that nothing is lost, and that no more went twice than was on the wire at that moment."""
    assert (texts.lost, mails.lost) == (0, 0)
    assert texts.twice == 0, "what became of a text is found out, by asking or by a person"
    assert mails.twice <= ON_THE_WIRE


FROZEN = {"on the same machine": (), "on another machine": ELSEWHERE}
CLOCKS: dict[str, tuple[int, ...]] = {
    "an hour ahead": (HOUR,),
    "an hour behind": (-HOUR,),
    "steps of an hour": (HOUR, -HOUR, 0),
}


def databases(one: str) -> pytest.MarkDecorator:
    """Run on one database, or on both where every run is made."""
    return pytest.mark.parametrize("any_database", ["sqlite", "postgresql"] if ALL else [one], indirect=True)


@pytest.mark.timeout(240)
@databases("postgresql")
@pytest.mark.parametrize("where", FROZEN if ALL else ["on another machine"])
def test_a_worker_that_is_stopped_for_longer_than_its_lease(stage: Stage, where: str) -> None:
    first, _ = begin(stage, *FROZEN[where])
    os.kill(first, signal.SIGSTOP)
    stopped = time.monotonic()
    wait_until(lambda: time.monotonic() - stopped > 2 * SECONDS, 30, str)
    os.kill(first, signal.SIGCONT)
    end(stage, first)
    check(*stage.rows(f"stopped for two leases {where}, {stage.lab.database.url.get_backend_name()}"))


@pytest.mark.timeout(240)
@databases("sqlite")
def test_a_worker_that_is_killed_in_the_midst_of_texts(stage: Stage) -> None:
    first, _ = begin(stage)
    os.kill(first, signal.SIGKILL)
    end(stage, first)
    check(*stage.rows(f"killed, {stage.lab.database.url.get_backend_name()}"))


@pytest.mark.timeout(240)
@databases("sqlite")
@pytest.mark.parametrize("clock", CLOCKS if ALL else ["steps of an hour"])
def test_a_worker_with_another_time(stage: Stage, clock: str) -> None:
    file = stage.folder / "time"
    set_time(file, 0 if len(CLOCKS[clock]) > 1 else CLOCKS[clock][0])
    first, _ = begin(stage, more=faked(file))
    for offset in CLOCKS[clock]:
        set_time(file, offset)
        seen = len(stage.texts.moments)
        wait_until(lambda seen=seen: len(stage.texts.moments) > seen + APART or stage.is_over(), 30, stage.home.lines)
    end(stage, first)
    check(*stage.rows(f"clock of one {clock}, {stage.lab.database.url.get_backend_name()}"))


def set_time(file: Path, offset: int) -> None:
    """Set the clock of who reads this file; the file is there as a whole, or as it was."""
    new = file.with_suffix(".new")
    new.write_text(f"{offset:+d}s\n")
    new.rename(file)


def faked(file: Path) -> dict[str, str]:
    """Return the environment of a process whose time of day is in a file; what it measures is left as it is."""
    program("faketime")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
