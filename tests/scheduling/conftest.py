"""A laboratory that sends at moments of its own, with the worker's ticks done by hand and the clock moved."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.batching import tasks as batching_tasks
from backend.db.database import Database
from backend.db.models.notifications import Delivery, Event, Notification
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted, IntakeResult
from backend.lib import clock, queue, settings
from backend.monitoring import ledger
from backend.reports.model import NotificationReport
from backend.scheduling import tasks
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory
from tests.factories import notification as body

LIST = "{% for field in fields %}[{{ field.sample_id }}]{% endfor %}"


@dataclass
class Calendar:
    """A laboratory whose mail stays in the outbox; ``X_LIST`` lists the samples of a batch in brackets."""

    lab: Laboratory
    clock: MovableClock
    sender: Sender

    def at(self, **span: float) -> str:
        """Write the moment that is so far ahead."""
        return clock.iso(clock.now() + timedelta(**span))

    def submit(self, sample: str = "S-1", **changes: Any) -> IntakeResult:
        """Send a notification, and return what was answered."""
        (outcome,) = accept_many([self.lab.submission(body(sample, **changes))], lambda _new: None)
        return outcome

    def accept(self, sample: str = "S-1", **changes: Any) -> str:
        """Send a notification that is accepted, and return its id."""
        outcome = self.submit(sample, **changes)
        assert isinstance(outcome, Accepted), outcome
        return outcome.notification_id

    def accept_batched(self, sample: str = "S-1", **changes: Any) -> str:
        """Send one for a batch of ``run-1``."""
        return self.accept(sample, template_id="X_LIST", priority="BATCH", aggregator_id="run-1", **changes)

    def work(self) -> None:
        """Do what a worker's tick does."""
        tasks.look_after.run()
        tasks.release_due.run()
        tasks.end_waits.run()
        batching_tasks.sweep.run()
        while self.sender.send_some():
            pass

    def report(self, notification_id: str) -> NotificationReport:
        """Read a notification back."""
        return self.lab.report(notification_id)

    def told(self, notification_id: str) -> list[str]:
        """Read its event lines."""
        return [event.what for event in self.report(notification_id).events]

    def deliveries(self, notification_id: str) -> list[tuple[str, str]]:
        """Return the addresses of its own messages, with their statuses, as they lie in the database."""
        with self.lab.database.read() as session:
            wanted = select(Delivery.address, Delivery.status).join(Notification).order_by(Delivery.id)
            rows = session.execute(wanted.where(Notification.uid == UUID(notification_id)))
            return [(row.address, row.status) for row in rows]

    def kinds(self) -> list[str]:
        """Return the kinds of all events."""
        with self.lab.database.read() as session:
            return list(session.scalars(select(Event.kind).order_by(Event.id)))

    def check_ledger(self) -> None:
        """Find what was accepted in the rows again."""
        with self.lab.database.read() as session:
            assert [entry.describe() for entry in ledger.balance(session) if entry.imbalance] == []


@pytest.fixture
def calendar(any_database: Database, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Calendar]:
    """Give the laboratory on either database, without a queue: the looks find everything."""
    monkeypatch.setattr(queue.Task, "__call__", lambda *_args, **_options: True)
    monkeypatch.setattr(tasks, "_upkeep", tasks.Throttle(timedelta()))
    settings.current.cache_clear()
    routes.routes.cache_clear()
    lab = laboratory(any_database)
    lab.template("X_LIST", LIST, format="text")
    yield Calendar(lab, moving_clock, Sender("worker-one"))
    routes.routes.cache_clear()
