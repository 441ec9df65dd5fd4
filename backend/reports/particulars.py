"""One notification for its page: what became of it, and all that people ask about it besides."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.models.accounts import ApiClient
from backend.db.models.batches import BatchMember
from backend.db.models.installation import NEVER
from backend.db.models.jobs import Job
from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus, Event, Notification
from backend.db.models.receipts import ProviderReceipt
from backend.delivery.doubt import Doubt
from backend.reports import notification
from backend.reports.listing import FINAL, Part, parts_of
from backend.reports.model import NotificationReport, ReportLinks
from backend.reports.notification import Step

_WAITING = frozenset(WAITING)
_SHOWN = 100


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider said, word for word: at an attempt, or later by a receipt (then ``attempt`` is null)."""

    at: datetime
    provider: str
    outcome: str
    attempt: int | None
    address: str
    text: str


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one address, as a page may show it; ``batch_uid`` is set where it carried a whole batch.

    ``in_doubt`` tells that a person has to decide what became of it.
    """

    uid: UUID
    channel: str
    recipients: list[str]
    address: str
    status: str
    attempts: int
    provider: str | None
    provider_message_id: str | None
    error: str | None
    in_doubt: bool
    next_try_at: datetime | None
    held: bool
    sent_at: datetime | None
    delivered_at: datetime | None
    batch_uid: UUID | None


class JobOrigin(msgspec.Struct, frozen=True):
    """The job that a notification is of; ``source`` is a ``JobSource``."""

    id: int
    name: str
    source: str


class Particulars(msgspec.Struct, frozen=True, kw_only=True):
    """A notification with its deliveries, its story and the provider's answers.

    ``content`` is the request as canonical JSON, null where it was not kept. ``client`` is the API client's name and
    id, ``job`` the job that it is of; without either it comes from the portal. ``failed`` and ``waiting`` count its
    own deliveries that can be sent again or cancelled, ``total`` all of them; a page has some, and ``after`` is where
    the next one begins. ``begins_later`` tells that it is not the first.
    """

    report: NotificationReport
    parts: list[Part]
    content: str | None
    client: tuple[str, str] | None
    job: JobOrigin | None
    deliveries: list[DeliveryRow]
    steps: list[Step]
    answers: list[Answer]
    failed: int
    waiting: int
    total: int
    after: int | None
    begins_later: bool

    @property
    def final(self) -> bool:
        """Tell whether nothing more is expected to happen by itself."""
        return self.report.status in FINAL


def of(session: Session, service_id: int, uid: UUID, after: int | None = None) -> Particulars | None:
    """Return a service's notification with the deliveries behind the row ``after``; ``None`` if it has none such."""
    found = notification.find(session, service_id, uid, notification.After(after), _SHOWN)
    if found is None:
        return None
    row = found.notification
    free = _free(session, row.id)
    batch_uids = {place.batch_row: UUID(place.report.batch_id) for place in found.memberships.values()}
    return Particulars(
        report=notification.describe(session, found, ReportLinks(self=f"/notifications/v1/{row.uid}")),
        parts=parts_of(row.content),
        content=row.content,
        client=_client(session, row.api_client_id),
        job=_job(session, row.job_id),
        deliveries=[delivery_row(one, batch_uids.get(one.batch_id or 0)) for one in found.deliveries],
        steps=notification.steps(session, found, _shown),
        answers=answers(session, found.deliveries),
        failed=free.get(DeliveryStatus.FAILED.value, 0),
        waiting=sum(count for status, count in free.items() if status in _WAITING),
        total=sum(found.statuses.values()),
        after=found.next.delivery,
        begins_later=after is not None,
    )


def _free(session: Session, notification_id: int) -> dict[str, int]:
    """Count a notification's own deliveries that no worker has claimed, by status."""
    own = (Delivery.notification_id == notification_id, Delivery.claimed_by.is_(None))
    counted = select(Delivery.status, func.count()).where(*own).group_by(Delivery.status)
    return dict(session.execute(counted).tuples().all())


def has_delivery(session: Session, service_id: int, uid: UUID, delivery_uid: UUID) -> bool:
    """Tell whether a delivery is of a service's notification, or of a batch that it went with."""
    row = session.scalar(select(Notification.id).where(Notification.uid == uid, Notification.service_id == service_id))
    batch_ids = select(BatchMember.batch_id).where(BatchMember.notification_id == row, BatchMember.removed_at.is_(None))
    own = or_(Delivery.notification_id == row, Delivery.batch_id.in_(batch_ids))
    return row is not None and session.scalar(select(Delivery.id).where(Delivery.uid == delivery_uid, own)) is not None


def delivery_row(delivery: Delivery, batch_uid: UUID | None = None) -> DeliveryRow:
    """Describe a delivery for a page."""
    return DeliveryRow(
        uid=delivery.uid,
        channel=delivery.type,
        recipients=delivery.recipients,
        address=_shown(delivery),
        status=delivery.status,
        attempts=delivery.attempts,
        provider=delivery.provider,
        provider_message_id=delivery.provider_message_id,
        error=delivery.error,
        in_doubt=delivery.doubt == Doubt.PERSON.value,
        next_try_at=delivery.due_at if delivery.status == DeliveryStatus.RETRYING and delivery.due_at < NEVER else None,
        held=delivery.status in _WAITING and delivery.due_at >= NEVER,
        sent_at=delivery.sent_at,
        delivered_at=delivery.delivered_at,
        batch_uid=batch_uid,
    )


def _shown(delivery: Delivery) -> str:
    return masked(delivery.type, delivery.address)


def _job(session: Session, job_id: int | None) -> JobOrigin | None:
    job = None if job_id is None else session.get(Job, job_id)
    return None if job is None else JobOrigin(job.id, job.name, job.source)


def _client(session: Session, identity: int | None) -> tuple[str, str] | None:
    found = session.execute(select(ApiClient.name, ApiClient.client_id).where(ApiClient.id == identity)).one_or_none()
    return (found[0], found[1]) if found else None


def answers(session: Session, deliveries: Sequence[Delivery]) -> list[Answer]:
    """Return what providers said of these deliveries, at attempts and by receipts, oldest first."""
    by_id = {one.id: one for one in deliveries}
    by_uid = {one.uid: one for one in deliveries}
    attempts = select(Event).where(Event.delivery_id.in_(by_id), Event.attempt.is_not(None)).order_by(Event.id)
    receipts = select(ProviderReceipt).where(ProviderReceipt.delivery_uid.in_(by_uid))
    found = [_of_attempt(event, by_id[event.delivery_id or 0]) for event in session.scalars(attempts)]
    found += [
        _of_receipt(receipt, by_uid[receipt.delivery_uid])
        for receipt in session.scalars(receipts)
        if receipt.delivery_uid is not None
    ]
    return sorted(found, key=lambda answer: answer.at)


def _of_attempt(event: Event, delivery: Delivery) -> Answer:
    return Answer(
        at=event.at,
        provider=event.provider or "",
        outcome=event.kind,
        attempt=event.attempt,
        address=_shown(delivery),
        text=event.detail or "",
    )


def _of_receipt(receipt: ProviderReceipt, delivery: Delivery) -> Answer:
    return Answer(
        at=receipt.received_at,
        provider=receipt.source,
        outcome=receipt.kind,
        attempt=None,
        address=_shown(delivery),
        text=receipt.raw or receipt.detail,
    )
