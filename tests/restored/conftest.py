"""An installation in which something of every kind waits, a backup of it, and what a worker does, step by step."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from backend.accounts.audit import Actor
from backend.batching import tasks as batching_tasks
from backend.callbacks import endpoints, subscriptions
from backend.callbacks.sender import WebhookSender
from backend.db.database import Database
from backend.db.models.notifications import Delivery
from backend.db.models.spreadsheets import Spreadsheet, Stage
from backend.delivery import tasks as delivery_tasks
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.jobs import tasks as spreadsheet_tasks
from backend.lib import clock, settings
from backend.monitoring import ledger
from backend.reports import notification
from backend.restored import recognition, report
from backend.restored.recognition import Seen
from backend.restored.report import Held
from tests.callbacks.receiver import Receiver
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory
from tests.factories import notification as body
from tests.jobs.conftest import Bureau
from tests.restored import backup
from tests.smtp_server import SmtpServer

BY = Actor("command", "tests")
BATCH = {"priority": "BATCH", "aggregator_id": "run-1", "template_id": "X_LIST"}
ALL = {"delivery": 5, "batch": 2, "callback": 1, "spreadsheet": 1}


@dataclass
class Harness:
    """A laboratory, what it sends to, and a backup of it."""

    lab: Laboratory
    server: SmtpServer
    receiver: Receiver
    clock: MovableClock
    kept: Path
    sender: Sender = field(default_factory=lambda: Sender("worker-one"))
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Database:
        return self.lab.database

    def accept(self, name: str, **changes: Any) -> str:
        """Accept a notification and return its id."""
        (outcome,) = accept_many([self.lab.submission(body(name, **changes))], lambda _priorities: None)
        assert isinstance(outcome, Accepted), outcome
        self.ids[name] = outcome.notification_id
        return outcome.notification_id

    def work(self) -> None:
        """Do what a worker's ticks do, until nothing is left to do."""
        delivery_tasks.recover(self.sender)
        batching_tasks.sweep.run()
        while self.sender.send_some():
            pass
        webhook_sender = WebhookSender("worker-one")
        webhook_sender.post_some()
        assert webhook_sender.wait(20)
        with self.database.read() as session:
            jobs = list(session.scalars(select(Spreadsheet.job_id)))
        for job in jobs:
            spreadsheet_tasks.turn.run(job)
        while self.sender.send_some():
            pass

    def left(self) -> tuple[int, int]:
        """Count what has left so far: mails, and posts to client systems."""
        return len(self.server.messages), len(self.receiver.posted)

    def back_up(self) -> None:
        """Look at the database as a process does that starts, and take a backup."""
        recognition.look_once()
        backup.take(self.database, self.kept)

    def restore(self) -> Seen:
        """Put the backup back, and start a process."""
        backup.put_back(self.database, self.kept)
        return recognition.look_once()

    def held(self) -> Held:
        with self.database.read() as session:
            return report.held(session)

    def counts(self) -> Counter[str]:
        """Count by kind what is held."""
        found: Counter[str] = Counter()
        for group in self.held().groups:
            found[group.kind] += group.count
        return found

    def statuses(self) -> Counter[str]:
        with self.database.read() as session:
            return Counter(dict(session.execute(select(Delivery.status, func.count()).group_by(Delivery.status)).all()))

    def status(self, name: str) -> str:
        with self.database.read() as session:
            found = notification.report(session, self.lab.service_id, UUID(self.ids[name]))
        assert found is not None
        return found.status

    def told(self, name: str) -> list[str]:
        with self.database.read() as session:
            found = notification.report(session, self.lab.service_id, UUID(self.ids[name]))
        assert found is not None
        return [event.what for event in found.events]

    def is_even(self) -> bool:
        """Tell whether the ledger balances, with something in it."""
        with self.database.read() as session:
            entries = ledger.balance(session)
        assert entries
        return not any(entry.imbalance for entry in entries)


def _fill(harness: Harness) -> None:
    """Have something of every kind wait: five messages in every state, two batches, a callback, a spreadsheet."""
    for name in ("queued", "retrying", "claimed", "old"):
        harness.accept(name)
    harness.accept("high", priority="HIGH")
    with harness.database.transaction() as session:
        queued = select(Delivery.id).where(Delivery.status == "QUEUED").order_by(Delivery.id)
        ids = list(session.scalars(queued))
        session.execute(update(Delivery).where(Delivery.id == ids[1]).values(status="RETRYING", attempts=2))
        values = {"status": "SENDING", "claimed_by": "gone/1/2/abc"}
        session.execute(update(Delivery).where(Delivery.id == ids[2]).values(**values))
        session.execute(
            update(Delivery).where(Delivery.id == ids[3]).values(created_at=clock.now() - timedelta(hours=3))
        )
    harness.accept("b-1", **BATCH)
    harness.accept("b-2", **BATCH)
    harness.accept("c-1", **BATCH | {"aggregator_id": "run-2"})


def _spreadsheet(lab: Laboratory) -> None:
    bureau = Bureau(lab)
    bureau.upload("email address,sample_id\nada@lab.example,S-1\ngrace@lab.example,S-2\n")
    assert bureau.work().stage == Stage.CHECKED.value
    bureau.send()


@pytest.fixture
def harness(
    any_database: Database, moving_clock: MovableClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Harness]:
    with SmtpServer() as server, Receiver() as receiver:
        monkeypatch.setenv("CARILLON_EMAIL_PROVIDERS", server.address)
        monkeypatch.setenv("CARILLON_MAIL_FROM", "Laboratory <noreply@lab.example>")
        monkeypatch.setenv("CARILLON_OUTBOUND_ALLOW", receiver.host_port)
        settings.current.cache_clear()
        routes.routes.cache_clear()
        subscriptions.clear()
        lab = laboratory(any_database)
        lab.template("X_LIST", "{% for field in fields %}[{{ field.sample_id }}]{% endfor %}")
        made = Harness(lab, server, receiver, moving_clock, tmp_path / "backup")
        with any_database.transaction() as session:
            endpoints.register(session, lab.client.id, lab.service_id, receiver.url, BY)
        subscriptions.clear()
        made.accept("sent before")
        while made.sender.send_some():
            pass
        _fill(made)
        _spreadsheet(lab)
        yield made
        subscriptions.clear()
        routes.routes.cache_clear()
