"""A laboratory that gathers its notifications, and everything between acceptance and the mailbox, step by step."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from backend.batching import report, tasks
from backend.batching.report import BatchDetails, MembershipReport
from backend.db.database import Database
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.lib import queue, settings
from backend.reports.model import NotificationReport
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory
from tests.factories import notification as body
from tests.smtp_server import Received, SmtpServer

LIST = "{% for field in fields %}[{{ field.sample_id }}]{% endfor %}"
LIMITS = {"BATCH_QUIET_SECONDS": "60", "BATCH_MAX_WAIT_SECONDS": "300", "BATCH_MAX_ITEMS": "1000"}


@dataclass
class Harness:
    """A laboratory with the template ``X_LIST``, which lists the samples of a batch in brackets."""

    lab: Laboratory
    clock: MovableClock
    sender: Sender

    def accept(self, *samples: str, aggregator_id: str = "run-1", **changes: Any) -> list[Accepted]:
        """Accept one notification for each sample, together."""
        values = {"template_id": "X_LIST", "priority": "BATCH", "aggregator_id": aggregator_id} | changes
        given = [self.lab.submission(body(sample, **values)) for sample in samples]
        outcomes = accept_many(given, lambda _priorities: None)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        return [outcome for outcome in outcomes if isinstance(outcome, Accepted)]

    def one(self, sample: str, **changes: Any) -> str:
        """Accept one notification and return its id."""
        return self.accept(sample, **changes)[0].notification_id

    def work(self) -> None:
        """Do what a worker's tick does: dispatch what is due, send everything that can be sent."""
        tasks.sweep.run()
        while self.sender.send_some():
            pass

    def report(self, notification_id: str) -> NotificationReport:
        """Read a notification back."""
        return self.lab.report(notification_id)

    def membership(self, notification_id: str) -> MembershipReport:
        """Read the place of a notification in its batch."""
        membership = self.report(notification_id).channels[0].recipients[0].batch
        assert membership is not None
        return membership

    def waiting(self, aggregator_id: str = "run-1") -> list[BatchDetails]:
        """Read the batches of an aggregator that were not sent yet."""
        with self.lab.database.read() as session:
            return report.details(session, self.lab.service_id, aggregator_id)[0]


def samples(received: Received) -> list[str]:
    """Return the samples that a message lists, in its order."""
    text = received.parsed.get_body(("plain",))
    assert text is not None
    return re.findall(r"\[([^\]]*)\]", text.get_content())


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def no_timers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the queue out, which examples without an end would fill: the sweep finds everything."""
    monkeypatch.setattr(queue.Task, "__call__", lambda *_args, **_options: True)


@pytest.fixture
def harness(
    any_database: Database,
    moving_clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Harness]:
    """Give a laboratory whose mail stays in the outbox: quiet 60 s, longest wait 300 s, at most 1000 members."""
    yield from _harness(any_database, moving_clock, monkeypatch, LIMITS)


@pytest.fixture
def mail_harness(
    any_database: Database,
    server: SmtpServer,
    moving_clock: MovableClock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Harness]:
    """Give a laboratory whose mail goes to ``server``."""
    values = LIMITS | {"EMAIL_PROVIDERS": server.address, "MAIL_FROM": "Laboratory <noreply@lab.example>"}
    yield from _harness(any_database, moving_clock, monkeypatch, values)


def _harness(
    database: Database, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch, values: dict[str, str]
) -> Iterator[Harness]:
    for name, value in values.items():
        monkeypatch.setenv(f"CARILLON_{name}", value)
    resets: tuple[Callable[[], None], ...] = (settings.current.cache_clear, routes.routes.cache_clear)
    for step in resets:
        step()
    lab = laboratory(database)
    lab.template("X_LIST", LIST, format="text")
    yield Harness(lab, moving_clock, Sender("worker-one"))
    for step in resets:
        step()
