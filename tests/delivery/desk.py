"""A laboratory whose channels go by scripted providers."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.notifications import Delivery
from backend.delivery import tasks
from backend.delivery.providers import health, routes
from backend.delivery.sending import send_context
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.lib import settings
from backend.monitoring import providers as provider_reports
from tests.conftest import MovableClock
from tests.delivery.doubles import (
    Scripted,
)
from tests.factories import Laboratory, laboratory, notification

SLACK = ("SLACK", "#samples")


@dataclass
class Desk:
    """A laboratory whose channels go by scripted providers."""

    lab: Laboratory
    clock: MovableClock
    sender: Sender
    use: Callable[..., None]

    def accept(self, name: str = "S-1", **changes: Any) -> str:
        (outcome,) = accept_many([self.lab.submission(notification(name, **changes))], tasks.wake)
        assert isinstance(outcome, Accepted), outcome
        return outcome.notification_id

    def row(self, notification_id: str) -> Delivery:
        (one,) = self.lab.report(notification_id).channels[0].recipients[0].deliveries
        with self.lab.database.read() as session:
            return session.scalars(select(Delivery).where(Delivery.uid == UUID(one.id))).one()

    def status(self, notification_id: str) -> str:
        return self.lab.report(notification_id).status

    def told(self, notification_id: str) -> list[str]:
        return [event.what for event in self.lab.report(notification_id).events]

    def providers(self) -> dict[str, provider_reports.ProviderReport]:
        with self.lab.database.transaction() as session:
            self.sender.tally.write(session)
        with self.lab.database.read() as session:
            return {one.name: one for one in provider_reports.providers(session)}

    def drain(self) -> int:
        """Send until nothing is due; return how many were claimed."""
        claimed = 0
        while some := self.sender.send_some():
            claimed += some
        return claimed


@pytest.fixture
def desk(
    any_database: Database,
    moving_clock: MovableClock,
    configure: Callable[..., settings.Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Desk]:
    made: dict[Channel, list[Any]] = {channel: [] for channel in Channel}
    monkeypatch.setattr(routes, "routes", lambda: made)
    monkeypatch.setattr(routes, "goes_out", lambda channel, _address: bool(made[channel]))
    health.recent.clear()

    def use(*given: Scripted) -> None:
        for channel in Channel:
            made[channel] = [one for one in given if one.channel is channel]
        send_context.UNLIMITED.close()

    lab = laboratory(any_database)
    lab.recipient("X_TEAM", SLACK)
    lab.recipient("X_OTHERS", ("SLACK", "#others"))
    yield Desk(lab, moving_clock, Sender("worker-one"), use)
    send_context.UNLIMITED.close()
