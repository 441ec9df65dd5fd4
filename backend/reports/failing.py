"""What is failing at a service and why: messages grouped by reason and recipient."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import case, select
from sqlalchemy.orm import Session

from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus
from backend.lib import clock
from backend.reports.listing import parts_of

SPAN = timedelta(days=7)
# So many notifications of each status are looked at; where more fail, the newest tell why.
_MOST = 200
_GROUPS = 8
_REASON_LENGTH = 300
# Numbers and ids differ from message to message where the reason is the same.
_PARTICULAR = re.compile(r"<[^>]*>|[0-9a-f]{8,}(-[0-9a-f]+)*|\d{4,}", re.IGNORECASE)


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that fail for one reason; ``state`` is RETRYING or FAILED.

    ``status`` is that of their notifications; ``reason`` and ``latest`` are those of the newest, ``notification`` is
    its public id.
    """

    state: str
    status: str
    reason: str
    recipient: str
    count: int
    latest: datetime
    notification: UUID


class _Failure(msgspec.Struct, frozen=True):
    state: str
    status: str
    reason: str
    recipient: str
    at: datetime
    notification: UUID


def now(session: Session, service_id: int) -> list[Trouble]:
    """Return what fails, given up within the last seven days or to be tried again, the most frequent first."""
    failures = [*_given_up(session, service_id), *_tried_again(session, service_id)]
    groups: dict[tuple[str, str, str], list[_Failure]] = {}
    for one in failures:
        key = (one.status, _PARTICULAR.sub("…", one.reason), one.recipient)
        groups.setdefault(key, []).append(one)
    troubles = [_trouble(group) for group in groups.values()]
    return sorted(troubles, key=lambda one: (one.count, one.latest), reverse=True)[:_GROUPS]


def _trouble(group: list[_Failure]) -> Trouble:
    newest = max(group, key=lambda one: one.at)
    return Trouble(
        state=newest.state,
        status=newest.status,
        reason=newest.reason,
        recipient=newest.recipient,
        count=len(group),
        latest=newest.at,
        notification=newest.notification,
    )


def _given_up(session: Session, service_id: int) -> Iterator[_Failure]:
    rows: list[Any] = []
    for status in (NotificationStatus.FAILED, NotificationStatus.PARTIAL):
        rows += _notifications(session, service_id, status, oldest_first=False)
    for row in rows:
        if row.problem is not None:
            parts = parts_of(row.refused_content)
            recipient = parts[0].recipient[0] if parts and parts[0].recipient else ""
            yield _Failure(
                "FAILED", row.status, row.problem["detail"][:_REASON_LENGTH], recipient, row.updated_at, row.uid
            )
    accepted = {row.id: row for row in rows if row.problem is None}
    yield from _of_deliveries(session, accepted, DeliveryStatus.FAILED)
    yield from _of_batches(session, accepted)


def _tried_again(session: Session, service_id: int) -> Iterator[_Failure]:
    """Find the retries: who waits for another try has been there longer than who waits for the first."""
    rows = _notifications(session, service_id, NotificationStatus.DISPATCHED, oldest_first=True)
    yield from _of_deliveries(session, {row.id: row for row in rows}, DeliveryStatus.RETRYING)


def _notifications(session: Session, service_id: int, status: NotificationStatus, *, oldest_first: bool) -> list[Any]:
    order = (Notification.created_at, Notification.id)
    refused = case((Notification.accepted_at.is_(None), Notification.content))
    columns = (Notification.id, Notification.uid, Notification.status, Notification.problem, Notification.updated_at)
    statement = (
        select(*columns, refused.label("refused_content"))
        .where(
            Notification.service_id == service_id,
            Notification.status == status.value,
            Notification.created_at >= clock.now() - SPAN,
        )
        .order_by(*(order if oldest_first else [column.desc() for column in order]))
        .limit(_MOST)
    )
    return list(session.execute(statement))


def _of_deliveries(session: Session, rows: dict[int, Any], status: DeliveryStatus) -> Iterator[_Failure]:
    columns = (Delivery.notification_id, Delivery.recipients, Delivery.error)
    own = (Delivery.notification_id.in_(rows), Delivery.status == status.value)
    for identity, recipients, error in session.execute(select(*columns).where(*own)):
        row = rows[identity or 0]
        yield _Failure(status.value, row.status, _reason(error), ", ".join(recipients), row.updated_at, row.uid)


def _of_batches(session: Session, rows: dict[int, Any]) -> Iterator[_Failure]:
    """Find why the batches failed that notifications went with: by themselves, or in one of their deliveries."""
    members = session.execute(
        select(BatchMember.notification_id, BatchMember.recipient, Batch.id, Batch.error)
        .join(Batch, Batch.id == BatchMember.batch_id)
        .where(BatchMember.notification_id.in_(rows), BatchMember.removed_at.is_(None))
    ).all()
    errors = _errors(session, {batch_id for _, _, batch_id, _ in members})
    for identity, recipient, batch_id, error in members:
        if error or batch_id in errors:
            row = rows[identity]
            yield _Failure("FAILED", row.status, _reason(error or errors[batch_id]), recipient, row.updated_at, row.uid)


def _errors(session: Session, batch_ids: Collection[int]) -> dict[int, str | None]:
    own = (Delivery.batch_id.in_(batch_ids), Delivery.status == DeliveryStatus.FAILED.value)
    return {
        batch_id or 0: error
        for batch_id, error in session.execute(select(Delivery.batch_id, Delivery.error).where(*own))
    }


def _reason(error: str | None) -> str:
    return (error or "No reason was given.")[:_REASON_LENGTH]
