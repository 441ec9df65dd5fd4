"""A laboratory whose API client hears of its notifications at a real HTTP server, and what posts there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import select

from backend.accounts.audit import Actor
from backend.callbacks import endpoints, messages, subscriptions
from backend.callbacks.messages import MessageRecord
from backend.callbacks.sender import WebhookSender
from backend.db.database import Database
from backend.db.models.callbacks import CallbackEndpoint
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.lib import settings
from tests.callbacks.receiver import Receiver
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification

ACTOR = Actor("command", "tests")


@dataclass
class Line:
    """The way from a notification to the client system that hears of it."""

    lab: Laboratory
    receiver: Receiver
    clock: MovableClock
    secret: str = ""
    webhook_sender: WebhookSender = field(default_factory=lambda: WebhookSender("worker-one"))
    sender: Sender = field(default_factory=lambda: Sender("worker-one"))

    @property
    def database(self) -> Database:
        return self.lab.database

    def register(self, url: str | None = None) -> str:
        """Set the client's address; return the secret if it is new."""
        with self.database.transaction() as session:
            args = (self.lab.client.id, self.lab.service_id, url or self.receiver.url, ACTOR)
            _, made = endpoints.register(session, *args)
        self.secret = made.secret if made else self.secret
        return self.secret

    def accept(self, sample: str = "S-1", **changes: Any) -> str:
        """Accept a notification and return its id."""
        (outcome,) = accept_many([self.lab.submission(notification(sample, **changes))], lambda _priorities: None)
        assert isinstance(outcome, Accepted), outcome
        return outcome.notification_id

    def send(self) -> None:
        """Send what is due to the outbox."""
        while self.sender.send_some():
            pass

    def post(self) -> int:
        """Post what is due, and what comes due by that, to the end; return how many were taken up at first."""
        taken = self.webhook_sender.post_some()
        assert self.webhook_sender.wait(20)
        return taken

    def messages(self) -> list[MessageRecord]:
        """List the messages, the oldest first."""
        with self.database.read() as session:
            return [one for _, one in messages.page(session, self.lab.client.id, 1000)][::-1]

    def endpoint(self, url: str | None = None) -> CallbackEndpoint:
        """Read the row of an address."""
        with self.database.read() as session:
            wanted = select(CallbackEndpoint).where(CallbackEndpoint.url == (url or self.receiver.url))
            return session.scalars(wanted).one()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def _line(
    database: Database, receiver: Receiver, clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Line]:
    monkeypatch.setenv("CARILLON_OUTBOUND_ALLOW", receiver.host_port)
    settings.current.cache_clear()
    routes.routes.cache_clear()
    subscriptions.clear()
    yield Line(laboratory(database), receiver, clock)
    subscriptions.clear()
    routes.routes.cache_clear()


@pytest.fixture
def line(
    database: Database, receiver: Receiver, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Line]:
    """Give the line on SQLite."""
    yield from _line(database, receiver, moving_clock, monkeypatch)


@pytest.fixture
def each_line(
    any_database: Database, receiver: Receiver, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Line]:
    """Give the line on each database."""
    yield from _line(any_database, receiver, moving_clock, monkeypatch)


@pytest.fixture
def allow(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set the list of places that may be reached though private."""

    def set_to(host_ports: str) -> None:
        monkeypatch.setenv("CARILLON_OUTBOUND_ALLOW", host_ports)
        settings.current.cache_clear()

    return set_to
