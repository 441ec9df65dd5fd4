"""Messages of jobs as the alpha's clients read them: one text to one address, by the number of its row."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.db.models.jobs import Job, JobSource
from backend.db.models.notifications import Delivery, DeliveryStatus, Event, Notification
from backend.db.models.receipts import ProviderReceipt

# A list that is not paged is cut off after this many, the newest first.
MOST = 5000


class PlainReport(msgspec.Struct, frozen=True, kw_only=True):
    """A message and what became of it.

    ``status`` is its delivery's. ``refused`` tells of a failed one that a provider refused it for good, or told later
    that it had failed, by that word. ``provider``
    names who sent it, once it was sent; ``sender`` is what the client gave.
    """

    id: int
    job_id: int
    service_id: int
    channel: str
    to: str
    text: str
    sender: str | None
    status: DeliveryStatus
    refused: bool
    provider: str | None
    created_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None


class _Part(msgspec.Struct, frozen=True):
    fields: dict[str, str]
    sender: str | None = None


class _Content(msgspec.Struct, frozen=True):
    channels: list[_Part]


_read = msgspec.json.Decoder(_Content).decode


def report(session: Session, notification_id: int, service_id: int | None) -> PlainReport | None:
    """Find a message; of one service, or of any if ``service_id`` is None."""
    found = _reports(session, _wanted(service_id).where(Notification.id == notification_id))
    return found[0] if found else None


def of_service(session: Session, service_id: int) -> list[PlainReport]:
    """List a service's messages, newest first."""
    return _reports(session, _wanted(service_id))


def of_job(session: Session, job_id: int, service_id: int | None) -> list[PlainReport]:
    """List a job's messages, newest first; of one service, or of any if ``service_id`` is None."""
    return _reports(session, _wanted(service_id).where(Notification.job_id == job_id))


def _wanted(service_id: int | None) -> Select[Notification, Delivery]:
    wanted = (
        select(Notification, Delivery)
        .join(Delivery, Delivery.notification_id == Notification.id)
        .join(Job, Job.id == Notification.job_id)
        .where(Job.source == JobSource.ALPHA.value)
        .order_by(Notification.id.desc())
        .limit(MOST)
    )
    return wanted if service_id is None else wanted.where(Notification.service_id == service_id)


def _reports(session: Session, wanted: Select[Notification, Delivery]) -> list[PlainReport]:
    rows = [(notification, delivery) for notification, delivery in session.execute(wanted)]
    failed = {delivery.uid: delivery.id for _, delivery in rows if delivery.status == DeliveryStatus.FAILED}
    refused = _refused(session, list(failed.values())) | {failed[uid] for uid in _told_failed(session, failed)}
    return [_report(notification, delivery, delivery.id in refused) for notification, delivery in rows]


def _refused(session: Session, delivery_ids: Sequence[int]) -> set[int]:
    wanted = select(Event.delivery_id).where(Event.delivery_id.in_(delivery_ids), Event.kind == "permanent")
    return {identity for identity in session.scalars(wanted) if identity is not None} if delivery_ids else set()


def _told_failed(session: Session, delivery_uids: Collection[UUID]) -> Sequence[UUID]:
    """Find those of which a receipt said ``failed``, in distinction from ``undelivered``."""
    if not delivery_uids:
        return []
    said = ProviderReceipt.delivery_uid.in_(delivery_uids), ProviderReceipt.detail.startswith("failed")
    return [uid for uid in session.scalars(select(ProviderReceipt.delivery_uid).where(*said)) if uid is not None]


def _report(notification: Notification, delivery: Delivery, refused: bool) -> PlainReport:
    part = _read(notification.content or "").channels[0]
    return PlainReport(
        id=notification.id,
        job_id=notification.job_id or 0,
        service_id=notification.service_id,
        channel=delivery.type,
        to=delivery.address,
        text=part.fields["text"],
        sender=part.sender,
        status=DeliveryStatus(delivery.status),
        refused=refused,
        provider=delivery.provider,
        created_at=notification.created_at,
        sent_at=delivery.sent_at,
        delivered_at=delivery.delivered_at,
    )
