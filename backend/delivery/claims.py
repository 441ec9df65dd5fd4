"""Claiming due deliveries: a conditional UPDATE, so that no two workers hold the same one."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus, Notification, Priority
from backend.lib import clock


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery in a worker's hands, with what its message is made from.

    ``attempts`` counts the tries before this one. It belongs to a notification, or to a batch: then ``fields`` is
    null, since the members' fields are read by ``batch_fields`` when their turn comes.
    """

    id: int
    uid: UUID
    notification_id: int | None
    batch_id: int | None
    service_id: int
    priority: int
    channel: Channel
    address: str
    attempts: int
    accepted_at: datetime
    template_version_id: int
    content_type: str
    subject: str | None
    fields: Any


def claim(session: Session, worker: str, *, limit: int, high_only: bool = False) -> list[Claim]:
    """Take up to ``limit`` due deliveries, HIGH first, then by the moment they are due.

    On PostgreSQL rows that another worker is claiming are passed over; SQLite has one writer at a time.
    """
    due = select(Delivery.id).where(
        Delivery.status.in_([status.value for status in WAITING]), Delivery.due_at <= clock.now()
    )
    if high_only:
        due = due.where(Delivery.priority == Priority.HIGH.value)
    due = due.order_by(Delivery.priority, Delivery.due_at, Delivery.id).limit(limit).with_for_update(skip_locked=True)
    taken = list(session.scalars(due))
    if not taken:
        return []
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(taken))
        .values(status=DeliveryStatus.SENDING.value, claimed_by=worker)
        .execution_options(synchronize_session=False)
    )
    return _load(session, taken)


def _load(session: Session, taken: Sequence[int]) -> list[Claim]:
    columns = (
        Delivery.id,
        Delivery.uid,
        Delivery.notification_id,
        Delivery.batch_id,
        Delivery.service_id,
        Delivery.priority,
        Delivery.type,
        Delivery.address,
        Delivery.attempts,
        Delivery.created_at,
        Delivery.template_version_id,
        Delivery.channel_index,
    )
    rows = session.execute(select(*columns).where(Delivery.id.in_(taken))).all()
    contents = _contents(session, {row.notification_id for row in rows} - {None})
    batches = _batches(session, {row.batch_id for row in rows} - {None})
    claims = [
        _claim(row, batches[row.batch_id] if row.batch_id else contents[row.notification_id][row.channel_index])
        for row in rows
    ]
    position = {identity: place for place, identity in enumerate(taken)}
    return sorted(claims, key=lambda one: position[one.id])


class _Part(msgspec.Struct, frozen=True):
    """What a message is made from: one channel of a notification, or a batch."""

    content_type: str
    fields: Any = None
    subject: str | None = None


class _Content(msgspec.Struct, frozen=True):
    channels: list[_Part]


_read = msgspec.json.Decoder(_Content).decode


def _contents(session: Session, notification_ids: set[int]) -> dict[int, list[_Part]]:
    if not notification_ids:
        return {}
    rows = session.execute(select(Notification.id, Notification.content).where(Notification.id.in_(notification_ids)))
    return {identity: _read(content or "").channels for identity, content in rows}


def _batches(session: Session, batch_ids: set[int]) -> dict[int, _Part]:
    if not batch_ids:
        return {}
    rows = session.execute(select(Batch.id, Batch.content_type, Batch.subject).where(Batch.id.in_(batch_ids)))
    return {identity: _Part(content_type, subject=subject) for identity, content_type, subject in rows}


def batch_fields(session: Session, batch_id: int) -> list[Any]:
    """Return the fields of a batch's members in order of arrival."""
    members = (
        select(Notification.content, BatchMember.channel_index)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .where(BatchMember.batch_id == batch_id, BatchMember.removed_at.is_(None))
        .order_by(BatchMember.seq)
        .execution_options(yield_per=1000)
    )
    return [_read(content or "").channels[index].fields for content, index in session.execute(members)]


def _claim(row: Any, part: _Part) -> Claim:
    return Claim(
        id=row.id,
        uid=row.uid,
        notification_id=row.notification_id,
        batch_id=row.batch_id,
        service_id=row.service_id,
        priority=row.priority,
        channel=Channel(row.type),
        address=row.address,
        attempts=row.attempts,
        accepted_at=row.created_at,
        template_version_id=row.template_version_id,
        content_type=part.content_type,
        subject=part.subject,
        fields=part.fields,
    )


def release(session: Session, claims: Sequence[Claim], worker: str) -> None:
    """Put claims back that were not begun, as they were."""
    by_status: dict[DeliveryStatus, list[int]] = defaultdict(list)
    for one in claims:
        by_status[DeliveryStatus.RETRYING if one.attempts else DeliveryStatus.QUEUED].append(one.id)
    for status, identities in by_status.items():
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(identities), Delivery.claimed_by == worker)
            .values(status=status.value, claimed_by=None)
            .execution_options(synchronize_session=False)
        )
