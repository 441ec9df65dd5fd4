"""A laboratory whose mail goes to a real SMTP server, and a hand that sends it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from backend.db.database import Database
from backend.delivery import tasks
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.lib import settings
from backend.reports.model import DeliveryReport, NotificationReport
from tests.conftest import MovableClock
from tests.delivery.desk import desk  # noqa: F401 - a fixture
from tests.factories import Laboratory, laboratory, notification
from tests.smtp_server import SmtpServer


@dataclass
class Post:
    """The way from acceptance to the mailbox, step by step."""

    lab: Laboratory
    server: SmtpServer
    clock: MovableClock
    sender: Sender

    def accept(self, **changes: Any) -> str:
        """Accept a notification and return its id."""
        (outcome,) = accept_many([self.lab.submission(notification(**changes))], tasks.wake)
        assert isinstance(outcome, Accepted), outcome
        return outcome.notification_id

    def send(self, **options: Any) -> int:
        """Send what is due now; return how many deliveries were claimed."""
        return self.sender.send_some(**options)

    def report(self, notification_id: str) -> NotificationReport:
        """Read a notification back."""
        return self.lab.report(notification_id)

    def deliveries(self, notification_id: str) -> list[DeliveryReport]:
        """Read a notification's deliveries back."""
        channels = self.report(notification_id).channels
        return [one for channel in channels for group in channel.recipients for one in group.deliveries]


@pytest.fixture
def server() -> Iterator[SmtpServer]:
    with SmtpServer() as running:
        yield running


@pytest.fixture
def post(
    any_database: Database,
    server: SmtpServer,
    moving_clock: MovableClock,
    configure: Callable[..., settings.Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Post]:
    monkeypatch.setenv("CARILLON_EMAIL_PROVIDERS", server.address)
    monkeypatch.setenv("CARILLON_MAIL_FROM", "Laboratory <noreply@lab.example>")
    settings.current.cache_clear()
    routes.routes.cache_clear()
    yield Post(laboratory(any_database), server, moving_clock, Sender("worker-one"))
    routes.routes.cache_clear()
