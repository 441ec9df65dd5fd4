"""One notification for its page: what became of it, and all that people ask about it besides."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.models.accounts import ApiClient
from backend.db.models.batches import BatchMember
from backend.db.models.installation import NEVER
from backend.db.models.jobs import Job
from backend.db.models.notifications import BY_PERSON, FINAL, NOT_LEFT, Delivery, DeliveryStatus, Event, Notification
from backend.db.models.receipts import ProviderReceipt
from backend.delivery.outcomes import causes, present, resend_log, waits
from backend.delivery.outcomes.causes import Cause
from backend.delivery.outcomes.record import RENDERING
from backend.delivery.outcomes.resend_log import Entry
from backend.delivery.outcomes.unknown_outcome import UnknownOutcome
from backend.delivery.outcomes.waits import WaitReport
from backend.registry import address_ids
from backend.reports import failing, messages, notification
from backend.reports.failing import Line
from backend.reports.lines import title
from backend.reports.model import NotificationReport, ReportLinks
from backend.reports.notification import Step
from backend.search import documents
from backend.search.asked import Part, parts_of

_WAITING = frozenset(NOT_LEFT)
_HAVE_A_MOMENT = (DeliveryStatus.SCHEDULED.value, DeliveryStatus.RETRYING.value)
_SHOWN = 100
GOING_SHOWN = 20


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

    ``outcome_unknown`` tells that a person has to decide what became of it. ``address_id`` names the address's page.
    ``gone_to`` is the address that gets the message instead, since its recipient has that by now; ``instead_of`` is
    the one that this took the place of. ``cause`` puts a mail server's words for people. ``meant_for`` is who would
    have had it. ``waits`` is what keeps it from leaving.
    """

    uid: UUID
    channel: str
    recipients: list[str]
    address: str
    address_id: str
    status: str
    attempts: int
    provider: str | None
    provider_message_id: str | None
    error: str | None
    outcome_unknown: bool
    next_try_at: datetime | None
    held: bool
    sent_at: datetime | None
    delivered_at: datetime | None
    batch_uid: UUID | None
    meant_for: str | None
    gone_to: str | None = None
    instead_of: list[str] = []
    cause: Cause | None = None
    waits: WaitReport | None = None

    @property
    def kept(self) -> bool:
        """Tell whether it counts as sent and lies in the outbox: nothing has left the application."""
        return messages.is_kept(self.provider, self.status)


class JobOrigin(msgspec.Struct, frozen=True):
    """The job that a notification is of; ``source`` is a ``JobSource``."""

    id: int
    name: str
    source: str


class Particulars(msgspec.Struct, frozen=True, kw_only=True):
    """A notification with its deliveries, its story and the provider's answers.

    ``subject`` is as it was rendered.
    ``content`` is the request as canonical JSON, null where it was not kept. ``client`` is the API client's name and
    id, ``job`` the job that it is of; without either it comes from the portal, where ``sent_by`` sent it, if a person
    did. ``failed`` and ``waiting`` count its own deliveries that can be sent again or cancelled, the latter of
    ``waiting_channels``, ``total`` all of them; a page has some, and ``after`` is where the next one begins.
    ``begins_later`` tells that it is not the first. ``going`` are the first of what has failed, as they would go again;
    ``resends`` say when it was sent again, and by whom. ``at_risk`` is why it could not be sent as things are, while it
    is scheduled.
    """

    report: NotificationReport
    subject: str | None
    parts: list[Part]
    content: str | None
    client: tuple[str, str] | None
    job: JobOrigin | None
    sent_by: str | None
    deliveries: list[DeliveryRow]
    steps: list[Step]
    answers: list[Answer]
    failed: int
    waiting: int
    waiting_channels: list[str]
    at_risk: str | None
    total: int
    after: int | None
    begins_later: bool
    going: list[Line]
    resends: list[Entry]

    @property
    def title(self) -> str:
        """Return its subject, or else what it was made from."""
        return title(self.subject, self.parts)

    @property
    def kept(self) -> bool:
        """Tell whether all of it lies in the outbox."""
        return bool(self.deliveries) and self.after is None and all(one.kept for one in self.deliveries)

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
    failed = sum(count for (status, _), count in free.items() if status == DeliveryStatus.FAILED)
    batch_uids = {membership.batch_row: UUID(membership.report.batch_id) for membership in found.memberships.values()}
    return Particulars(
        report=notification.describe(session, found, ReportLinks(self=f"/notifications/v1/{row.uid}")),
        subject=documents.subjects_of(session, [row.id]).get(row.id),
        parts=parts_of(row.content),
        content=row.content,
        client=_client(session, row.api_client_id),
        job=_job(session, row.job_id),
        sent_by=_sent_by(session, row),
        deliveries=delivery_rows(session, found.deliveries, batch_uids),
        steps=notification.steps(session, found, _shown),
        answers=answers(session, found.deliveries),
        failed=failed,
        waiting=sum(count for (status, _), count in free.items() if status in _WAITING),
        waiting_channels=sorted({kind for status, kind in free if status in _WAITING}),
        at_risk=next((one.error for one in found.deliveries if _has_no_wait(one)), None),
        total=sum(found.statuses.values()),
        after=found.next.delivery,
        begins_later=after is not None,
        going=_going(session, service_id, row.id) if failed else [],
        resends=resend_log.of(session, row.id, list(batch_uids)),
    )


def _has_no_wait(delivery: Delivery) -> bool:
    return delivery.status == DeliveryStatus.SCHEDULED and delivery.waits is None


def _going(session: Session, service_id: int, notification_id: int) -> list[Line]:
    wanted = select(Delivery).where(present.failed(Delivery.notification_id == notification_id))
    found = session.scalars(wanted.order_by(Delivery.id).limit(GOING_SHOWN)).all()
    return failing.lines(session, service_id, found)


def _free(session: Session, notification_id: int) -> dict[tuple[str, str], int]:
    """Count a notification's own deliveries that no worker has claimed, by status and channel type."""
    own = (Delivery.notification_id == notification_id, Delivery.claimed_by.is_(None))
    counted = select(Delivery.status, Delivery.type, func.count()).where(*own).group_by(Delivery.status, Delivery.type)
    return {(status, kind): count for status, kind, count in session.execute(counted)}


def has_delivery(session: Session, service_id: int, uid: UUID, delivery_uid: UUID) -> bool:
    """Tell whether a delivery is of a service's notification, or of a batch that it went with."""
    row = session.scalar(select(Notification.id).where(Notification.uid == uid, Notification.service_id == service_id))
    batch_ids = select(BatchMember.batch_id).where(BatchMember.notification_id == row, BatchMember.removed_at.is_(None))
    own = or_(Delivery.notification_id == row, Delivery.batch_id.in_(batch_ids))
    return row is not None and session.scalar(select(Delivery.id).where(Delivery.uid == delivery_uid, own)) is not None


def delivery_rows(
    session: Session, deliveries: Sequence[Delivery], batch_uids: Mapping[int, UUID] | None = None
) -> list[DeliveryRow]:
    """Describe deliveries for a page; ``batch_uids`` are the public ids of the batches that some belong to."""
    heirs = {one.superseded_by for one in deliveries} - {None}
    gone_to = {one.id: _shown(one) for one in session.scalars(select(Delivery).where(Delivery.id.in_(heirs)))}
    heirs_of = {one.id for one in deliveries if one.requeued_at is not None}
    wanted = select(Delivery).where(_beside(deliveries), Delivery.superseded_by.in_(heirs_of)) if heirs_of else None
    instead: dict[int, list[str]] = {}
    for old in session.scalars(wanted) if wanted is not None else ():
        instead.setdefault(old.superseded_by or 0, []).append(_shown(old))
    known = batch_uids or {}
    return [
        _row(one, known.get(one.batch_id or 0), gone_to.get(one.superseded_by or 0), instead.get(one.id, []))
        for one in deliveries
    ]


def _beside(deliveries: Sequence[Delivery]) -> ColumnElement[bool]:
    """Tell which deliveries are in the same notifications and batches, which indexes know."""
    notifications = {one.notification_id for one in deliveries} - {None}
    batches = {one.batch_id for one in deliveries} - {None}
    return or_(Delivery.notification_id.in_(notifications), Delivery.batch_id.in_(batches))


def _row(delivery: Delivery, batch_uid: UUID | None, gone_to: str | None, instead_of: list[str]) -> DeliveryRow:
    return DeliveryRow(
        uid=delivery.uid,
        channel=delivery.type,
        recipients=delivery.recipients,
        address=_shown(delivery),
        address_id=address_ids.seal(delivery.service_id, delivery.address),
        status=delivery.status,
        attempts=delivery.attempts,
        provider=delivery.provider,
        provider_message_id=delivery.provider_message_id,
        error=delivery.error,
        outcome_unknown=delivery.doubt == UnknownOutcome.PERSON.value,
        next_try_at=delivery.due_at if delivery.status in _HAVE_A_MOMENT and delivery.due_at < NEVER else None,
        held=delivery.status in _WAITING and delivery.due_at >= NEVER,
        sent_at=delivery.sent_at,
        delivered_at=delivery.delivered_at,
        batch_uid=batch_uid,
        gone_to=gone_to,
        instead_of=instead_of,
        cause=causes.of_mail(delivery.type, delivery.error) if delivery.provider != RENDERING else None,
        meant_for=None if delivery.meant_for is None else masked("", delivery.meant_for),
        waits=waits.of_delivery(delivery),
    )


def _shown(delivery: Delivery) -> str:
    return masked(delivery.type, delivery.address)


def _job(session: Session, job_id: int | None) -> JobOrigin | None:
    job = None if job_id is None else session.get(Job, job_id)
    return None if job is None else JobOrigin(job.id, job.name, job.source)


def _sent_by(session: Session, row: Notification) -> str | None:
    """Return who sent it by a form of the portal."""
    if row.api_client_id is not None or row.job_id is not None:
        return None
    own = (Event.notification_id == row.id, Event.kind == BY_PERSON)
    return session.scalar(select(Event.detail).where(*own).limit(1))


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
