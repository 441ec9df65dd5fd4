"""A service at work, for tests of its pages: things accepted, gathered, sent, refused by a provider, and taken back."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import insert, select, update

from backend.batching import tasks as batching
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, DeliveryStatus, Event, Notification, OutboxMessage
from backend.delivery.outcomes import states
from backend.intake.accept import accept_many
from backend.lib import clock
from tests.factories import BATCH_HTML, Laboratory, laboratory, notification


@dataclass
class Desk:
    """A registered service and what happens to its notifications."""

    lab: Laboratory

    @property
    def home(self) -> str:
        """Return the address of the service's pages."""
        return f"/portal/services/{self.lab.service_id}"

    def accept(self, sample: str = "S-1", **changes: Any) -> UUID:
        """Accept a notification and return its id."""
        return self.submit(notification(sample, **changes))

    def submit(self, body: object) -> UUID:
        """Take a body in, well or badly formed, and return its id."""
        (outcome,) = accept_many([self.lab.submission(body)], lambda _priorities: None)
        assert outcome.notification_id is not None, outcome
        return UUID(outcome.notification_id)

    def refused(self) -> UUID:
        """Take in a notification to a recipient that nobody has registered."""
        return self.submit(notification("S-404", recipient=["X_NOBODY"]))

    def buffer(self, *samples: str, aggregator_id: str = "run-1", **changes: Any) -> list[UUID]:
        """Accept notifications into a batch."""
        names = {"priority": "BATCH", "aggregator_id": aggregator_id, "template_id": "X_LIST"}
        return [self.accept(sample, **names | {"fields": {"sample-id": sample}} | changes) for sample in samples]

    def dispatch(self) -> None:
        """Dispatch the batches that are due."""
        batching.sweep.run()

    def finish(self, status: DeliveryStatus, detail: str, *, provider: str = "smtp", most: int = 1000) -> None:
        """Let a provider answer for what is queued: each delivery comes to ``status``, with its event."""
        kinds = {DeliveryStatus.SENT: "accepted", DeliveryStatus.FAILED: "permanent", DeliveryStatus.RETRYING: "retry"}
        now = clock.now()
        with self.lab.database.transaction() as session:
            queued = select(Delivery).where(
                Delivery.status == DeliveryStatus.QUEUED.value, Delivery.service_id == self.lab.service_id
            )
            found = session.scalars(queued.order_by(Delivery.id).limit(most)).all()
            for one in found:
                one.status, one.attempts, one.provider = status.value, one.attempts + 1, provider
                one.error = None if status is DeliveryStatus.SENT else detail
                one.sent_at = now if status is DeliveryStatus.SENT else None
                event = {"notification_id": one.notification_id, "batch_id": one.batch_id, "delivery_id": one.id}
                values = {"at": now, "kind": kinds[status], "attempt": one.attempts, "provider": provider}
                session.execute(insert(Event).values(**event, **values, detail=detail))
            session.flush()
            states.refresh(session, {one.notification_id for one in found if one.notification_id is not None})
            states.refresh_batches(session, {one.batch_id: None for one in found if one.batch_id is not None})

    def keep(self) -> None:
        """Let what is queued go to the outbox."""
        with self.lab.database.transaction() as session:
            queued = session.scalars(select(Delivery).where(Delivery.status == DeliveryStatus.QUEUED.value)).all()
            for one in queued:
                message = {
                    "channel": one.type,
                    "sender": "lab@lab.example",
                    "address": one.address,
                    "text": "Kept text",
                }
                session.execute(
                    insert(OutboxMessage).values(
                        delivery_id=one.id, service_id=one.service_id, html="<p>Kept words</p>", **message
                    )
                )
        self.finish(DeliveryStatus.SENT, "no provider is set", provider="outbox")

    def statuses(self, uid: UUID) -> tuple[str, list[str]]:
        """Return the status of a notification and of its deliveries."""
        with self.lab.database.read() as session:
            status, identity = session.execute(
                select(Notification.status, Notification.id).where(Notification.uid == uid)
            ).one()
            own = select(Delivery.status).where(Delivery.notification_id == identity).order_by(Delivery.id)
            return status, list(session.scalars(own))

    def go_live(self, *, live: bool = True) -> None:
        """Take the service live, or back."""
        with self.lab.database.transaction() as session:
            session.execute(update(Service).where(Service.id == self.lab.service_id).values(live=live))


def desk(database: Database, name: str = "Laboratory") -> Desk:
    """Register a service with a group of two mailboxes besides, and a template of batches."""
    return desk_of(laboratory(database, name), "X" if name == "Laboratory" else name[0].upper())


def desk_of(lab: Laboratory, prefix: str = "X") -> Desk:
    """Register the same for a service that is there."""
    lab.recipient(f"{prefix}_TWO", ("EMAIL", "lab@lab.example"), ("EMAIL", "night@lab.example"))
    lab.template(f"{prefix}_LIST", BATCH_HTML)
    return Desk(lab)
