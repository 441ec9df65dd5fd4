"""Web and worker are killed at any moment while notifications flow: every accepted one arrives.

A storm is drawn by a number, which its first line shows; ``STORM=number`` draws the same one again.
"""

import os
import random
import time
from pathlib import Path

import pytest
from sqlalchemy import func, select

from backend.db.database import Database
from backend.db.models.notifications import Notification
from tests.factories import laboratory
from tests.storms.clients import Clients
from tests.storms.installation import Installation, Mailbox, wait_until

COUNT = 120
SENDERS = 8  # messages that a worker has under way at once
KILLS = 2  # of each process; fewer if it has done all its work meanwhile, more while it starts


class Victim:
    """A process that is killed when certain counts are reached, and sometimes again while it starts."""

    def __init__(self, home: Installation, command: str, chance: random.Random) -> None:
        self._home, self._command, self._chance = home, command, chance
        self._marks = sorted(chance.sample(range(5, COUNT - 20), KILLS))
        self._early: float | None = None
        self._process = home.start(command)
        self.kills = 0

    def look(self, reached: int) -> bool:
        """Kill the process if its moment has come; tell whether there are more to come.

        Raises:
            AssertionError: with the processes' lines, when it has ended of its own accord.
        """
        assert self._process.poll() is None, self._home.lines()
        if self._early is not None and time.monotonic() >= self._early:
            self._kill()
        elif self._marks and reached >= self._marks[0]:
            self._marks = [mark for mark in self._marks[1:] if mark > reached]
            self._kill()
            if self._chance.random() < 0.3:
                self._early = time.monotonic() + self._chance.uniform(0, 1.5)
        return bool(self._marks) or self._early is not None

    def _kill(self) -> None:
        self._early = None
        self._home.kill(self._process)
        self.kills += 1
        self._process = self._home.start(self._command)


def storm(home: Installation, mailbox: Mailbox, clients: Clients, number: int) -> tuple[int, int]:
    """Send everything through the storm and wait for the mailbox; return the kills of web and worker."""
    chance = random.Random(number)
    web, worker = Victim(home, "serve", chance), Victim(home, "worker", chance)

    def over() -> bool:
        more = web.look(len(clients.accepted)), worker.look(mailbox.count())
        return not any(more) and not clients.busy()

    wait_until(over, 150, lambda: f"{len(clients.accepted)} accepted, {mailbox.count()} came\n{home.lines()}")
    return web.kills, worker.kills


def sent(database: Database) -> int:
    with database.read() as session:
        statement = select(func.count()).select_from(Notification).where(Notification.status == "SENT")
        return session.scalar(statement) or 0


# On a free machine it takes twenty seconds, most of them to start processes again; a busy one may be slow.
@pytest.mark.timeout(240)
def test_every_accepted_notification_arrives(any_engine: Database, tmp_path: Path) -> None:
    number = int(os.environ.get("STORM", "1"))
    print(f"\nSTORM={number}")
    began = time.monotonic()
    lab = laboratory(any_engine)
    mailbox = Mailbox(tmp_path / "mailbox")
    with mailbox, Installation(tmp_path, mailbox.address) as home, Clients(home.base, lab, COUNT) as clients:
        webs, workers = storm(home, mailbox, clients, number)
        wait_until(lambda: sent(any_engine) >= len(clients.accepted), 30, home.lines)
        copies = mailbox.copies()
        reports = clients.reports(sorted(clients.accepted))
    doubles = copies.total() - len(copies)
    print(
        f"On {any_engine.url.get_backend_name()}: {len(clients.accepted)} accepted "
        f"({clients.duplicates} known already, {clients.repeats} repeats), {copies.total()} messages, "
        f"{webs} kills of the web, {workers} of the worker, {doubles} doubles, {time.monotonic() - began:.0f} s"
    )
    assert not clients.refused
    assert len(clients.accepted) == COUNT
    assert {report["status"] for report in reports.values()} == {"SENT"}
    deliveries = {
        delivery["id"]
        for report in reports.values()
        for channel in report["channels"]
        for recipient in channel["recipients"]
        for delivery in recipient["deliveries"]
    }
    assert len(deliveries) == COUNT
    assert set(copies) == deliveries, "one Message-ID for each notification, and none that nobody asked for"
    assert doubles <= workers * SENDERS
    assert max(copies.values()) <= 1 + workers
    assert webs
    assert workers
