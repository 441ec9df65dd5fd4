"""Messages of jobs as the alpha's clients read them: one text to one address, by the number of its row."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.db.models.batches import Batch, BatchMember, BatchStatus
from backend.db.models.jobs import Job, JobSource
from backend.db.models.notifications import Delivery, DeliveryStatus, Event, Notification
from backend.db.models.receipts import ProviderReceipt

# A list that is not paged is cut off after this many, the newest first.
MOST = 5000
_AT_ONCE = 1000


class PlainReport(msgspec.Struct, frozen=True, kw_only=True):
    """A message and what became of it.

    ``status`` is its delivery's, or that of the digest that it joined. ``refused`` tells of a failed one that a
    provider refused it for good, or told later that it had failed, by that word. ``provider`` names who sent it, once
    it was sent; ``sender`` is what the client gave.
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
        .outerjoin(Delivery, Delivery.notification_id == Notification.id)
        .join(Job, Job.id == Notification.job_id)
        .where(Job.source == JobSource.ALPHA.value)
        .order_by(Notification.id.desc())
        .limit(MOST)
    )
    return wanted if service_id is None else wanted.where(Notification.service_id == service_id)


class _Sent(msgspec.Struct, frozen=True):
    """What is known of sending a message; ``delivery_id`` is none while its digest gathers."""

    channel: str
    to: str
    status: DeliveryStatus
    delivery_id: int | None = None
    uid: UUID | None = None
    provider: str | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None


def _reports(session: Session, wanted: Select[Notification, Delivery]) -> list[PlainReport]:
    rows: list[tuple[Notification, Delivery | None]] = [(one, delivery) for one, delivery in session.execute(wanted)]
    digests = _joined(session, [notification.id for notification, delivery in rows if delivery is None])
    sent = [
        (notification, _sent(delivery) if delivery is not None else digests[notification.id])
        for notification, delivery in rows
        if delivery is not None or notification.id in digests
    ]
    failed = {one.uid: one.delivery_id for _, one in sent if one.status is DeliveryStatus.FAILED and one.uid}
    refused = _refused(session, [one for one in failed.values() if one is not None])
    refused |= {identity for uid in _told_failed(session, failed) if (identity := failed[uid]) is not None}
    return [_report(notification, one, one.delivery_id in refused) for notification, one in sent]


def _sent(one: Delivery) -> _Sent:
    status = DeliveryStatus(one.status)
    return _Sent(one.type, one.address, status, one.id, one.uid, one.provider, one.sent_at, one.delivered_at)


def _joined(session: Session, notification_ids: Sequence[int]) -> dict[int, _Sent]:
    """Find what became of the digests that messages joined, which have one address each, by their notifications."""
    found: dict[int, _Sent] = {}
    wanted = (
        select(BatchMember.notification_id, BatchMember.removed_at, Batch, Delivery)
        .join(Batch, Batch.id == BatchMember.batch_id)
        .outerjoin(Delivery, Delivery.batch_id == Batch.id)
        .where(Batch.address.is_not(None))
        .order_by(Delivery.id)
    )
    for start in range(0, len(notification_ids), _AT_ONCE):
        some = wanted.where(BatchMember.notification_id.in_(notification_ids[start : start + _AT_ONCE]))
        for identity, removed_at, batch, delivery in session.execute(some):
            found[identity] = _of_digest(removed_at, batch, delivery)
    return found


def _of_digest(removed_at: datetime | None, batch: Batch, delivery: Delivery | None) -> _Sent:
    if delivery is not None and removed_at is None:
        return _sent(delivery)
    if removed_at is not None or batch.status == BatchStatus.CANCELLED:
        status = DeliveryStatus.CANCELLED
    else:
        status = DeliveryStatus.FAILED if batch.status == BatchStatus.FAILED else DeliveryStatus.QUEUED
    return _Sent(batch.type, batch.address or "", status)


def _refused(session: Session, delivery_ids: Sequence[int]) -> set[int]:
    wanted = select(Event.delivery_id).where(Event.delivery_id.in_(delivery_ids), Event.kind == "permanent")
    return {identity for identity in session.scalars(wanted) if identity is not None} if delivery_ids else set()


def _told_failed(session: Session, delivery_uids: Collection[UUID]) -> Sequence[UUID]:
    """Find those of which a receipt said ``failed``, in distinction from ``undelivered``."""
    if not delivery_uids:
        return []
    said = ProviderReceipt.delivery_uid.in_(delivery_uids), ProviderReceipt.detail.startswith("failed")
    return [uid for uid in session.scalars(select(ProviderReceipt.delivery_uid).where(*said)) if uid is not None]


def _report(notification: Notification, sent: _Sent, refused: bool) -> PlainReport:
    part = _read(notification.content or "").channels[0]
    return PlainReport(
        id=notification.id,
        job_id=notification.job_id or 0,
        service_id=notification.service_id,
        channel=sent.channel,
        to=sent.to,
        text=part.fields.get("text", ""),
        sender=part.sender,
        status=sent.status,
        refused=refused,
        provider=sent.provider,
        created_at=notification.created_at,
        sent_at=sent.sent_at,
        delivered_at=sent.delivered_at,
    )
