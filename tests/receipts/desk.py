"""A laboratory whose messages have gone out, and what is reported about them."""

import itertools
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from backend.channels.base import Channel, ReceiptEvent, ReceiptKind
from backend.db.models.notifications import Delivery, Event, Notification
from backend.db.models.receipts import ProviderReceipt
from backend.delivery.outcomes import receipts
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.registry import suppressions
from tests.conftest import MovableClock
from tests.factories import Laboratory, notification

_numbers = itertools.count()


class Desk:
    """A laboratory whose messages have gone out, and what is reported about them."""

    def __init__(self, lab: Laboratory, clock: MovableClock) -> None:
        self.lab, self.clock = lab, clock

    def send(self, sample: str = "S-1", **changes: Any) -> str:
        """Accept a notification and send it; return its id."""
        (outcome,) = accept_many([self.lab.submission(notification(sample, **changes))], lambda _priorities: None)
        assert isinstance(outcome, Accepted), outcome
        while Sender("worker-one").send_some():
            pass
        return outcome.notification_id

    def delivery(self, notification_id: str) -> Any:
        """Return the columns of a notification's one delivery, and the notification's status as ``whole``."""
        with self.lab.database.read() as session:
            query = select(Delivery, Notification.status.label("whole")).join(Notification)
            return session.execute(query.where(Notification.uid == UUID(notification_id))).one()

    def put(self, notification_id: str, **values: object) -> None:
        """Put a delivery into some state, and let its notification follow."""
        found = self.delivery(notification_id).Delivery
        with self.lab.database.transaction() as session:
            session.execute(update(Delivery).where(Delivery.id == found.id).values(**values))

    def about(self, notification_id: str, kind: ReceiptKind, **values: Any) -> ReceiptEvent:
        """Make a piece of news about a notification's delivery."""
        uid = str(self.delivery(notification_id).Delivery.uid)
        fields = {"provider_message_id": f"m-{uid}", "event_id": f"e-{next(_numbers)}", "delivery_id": uid}
        return ReceiptEvent(kind=kind, **(fields | values))

    def status(self, notification_id: str) -> tuple[str, str]:
        """Return the statuses of the delivery and of its notification."""
        row = self.delivery(notification_id)
        return row.Delivery.status, row.whole

    def told(self, notification_id: str) -> list[str]:
        """Return the reports on the time line."""
        found = self.delivery(notification_id).Delivery
        with self.lab.database.read() as session:
            wanted = select(Event.detail).where(Event.delivery_id == found.id, Event.kind.startswith("receipt_"))
            return [detail or "" for detail in session.scalars(wanted.order_by(Event.id))]

    def suppressed(self, *addresses: str) -> set[str]:
        with self.lab.database.read() as session:
            return suppressions.suppressed(session, self.lab.service_id, Channel.EMAIL, addresses)

    def waiting(self) -> int:
        with self.lab.database.read() as session:
            wanted = select(func.count(ProviderReceipt.id)).where(ProviderReceipt.due_at.is_not(None))
            return session.scalar(wanted) or 0


def receive(*events: ReceiptEvent, source: str = "sendgrid", body: bytes = b"{}") -> None:
    """Take this news from a provider."""
    receipts.receive(source, events, body)
