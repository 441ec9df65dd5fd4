"""The outbox as its pages show it: newest first in keyset pages, and one message whole."""

from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.models.accounts import Service
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, Notification, OutboxMessage
from backend.reports import attachments
from backend.reports.model import AttachmentReport

PAGE_SIZE = 50


class Row(msgspec.Struct, frozen=True):
    """One line of the list; ``uid`` is the delivery's public id."""

    uid: UUID
    channel: str
    subject: str | None
    opening: str
    address: str
    service: str
    created_at: datetime


class Page(msgspec.Struct, frozen=True):
    """Rows with the newest first; ``newer`` and ``older`` are the keys of the neighbouring pages, if there are any."""

    rows: list[Row]
    newer: UUID | None
    older: UUID | None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message as it would have gone out; ``html`` is null where the channel has text alone.

    It was made of one notification, or of the ``members`` of a batch, which then has an ``aggregator_id``.
    """

    uid: UUID
    notification_uid: UUID | None
    aggregator_id: str | None
    members: int | None
    channel: str
    sender: str
    address: str
    subject: str | None
    text: str
    html: str | None
    service: str
    created_at: datetime
    attachments: list[AttachmentReport]


def page(
    session: Session,
    services: Collection[int] | None,
    *,
    before: UUID | None = None,
    after: UUID | None = None,
    size: int = PAGE_SIZE,
) -> Page:
    """List the messages of these services (``None``: of all), older than ``before`` or newer than ``after``.

    A key whose message is no longer kept gives an empty page.
    """
    query = _rows(services)
    if after is not None:
        query = query.where(OutboxMessage.id > _row_of(after)).order_by(OutboxMessage.id)
    elif before is not None:
        query = query.where(OutboxMessage.id < _row_of(before)).order_by(OutboxMessage.id.desc())
    else:
        query = query.order_by(OutboxMessage.id.desc())
    found = [_row(record) for record in session.execute(query.limit(size + 1))]
    rows, more = found[:size], len(found) > size
    if after is not None:
        rows.reverse()
    newer, older = (more, True) if after is not None else (before is not None, more)
    return Page(rows, rows[0].uid if rows and newer else None, rows[-1].uid if rows and older else None)


def newest(session: Session, services: Collection[int] | None) -> UUID | None:
    """Return the id of the newest message of these services, by which a reader learns whether there is a new one."""
    query = _of(services, select(Delivery.uid).join(OutboxMessage, OutboxMessage.delivery_id == Delivery.id))
    found: UUID | None = session.scalar(query.order_by(OutboxMessage.id.desc()).limit(1))
    return found


def message(session: Session, services: Collection[int] | None, uid: UUID) -> Message | None:
    """Return the message of one delivery, or nothing if none of these services has it."""
    query = (
        select(
            Delivery.uid,
            Notification.uid.label("notification_uid"),
            Batch.aggregator_id,
            Batch.members,
            OutboxMessage.channel,
            OutboxMessage.sender,
            OutboxMessage.address,
            OutboxMessage.subject,
            OutboxMessage.text,
            OutboxMessage.html,
            Service.name.label("service"),
            OutboxMessage.created_at,
        )
        .join(Delivery, OutboxMessage.delivery_id == Delivery.id)
        .outerjoin(Notification, Delivery.notification_id == Notification.id)
        .outerjoin(Batch, Delivery.batch_id == Batch.id)
        .join(Service, OutboxMessage.service_id == Service.id)
        .where(Delivery.uid == uid)
    )
    record = session.execute(_of(services, query)).one_or_none()
    if record is None:
        return None
    delivery = session.scalars(select(Delivery).where(Delivery.uid == uid)).one()
    files = attachments.reported(attachments.of_delivery(session, delivery))
    return Message(**{**record._asdict(), "address": masked(record.channel, record.address)}, attachments=files)


def shown_html(session: Session, services: Collection[int] | None, uid: UUID) -> str | None:
    """Return the HTML of one delivery's message with its images in it, or nothing if there is none."""
    query = select(OutboxMessage.html, Delivery).join(Delivery, OutboxMessage.delivery_id == Delivery.id)
    record = session.execute(_of(services, query.where(Delivery.uid == uid))).one_or_none()
    return attachments.shown_html(session, record[1], record[0]) if record and record[0] else None


def _rows(services: Collection[int] | None) -> Select[*tuple[Any, ...]]:
    query = (
        select(
            Delivery.uid,
            OutboxMessage.channel,
            OutboxMessage.subject,
            OutboxMessage.text,
            OutboxMessage.address,
            Service.name,
            OutboxMessage.created_at,
        )
        .join(Delivery, OutboxMessage.delivery_id == Delivery.id)
        .join(Service, OutboxMessage.service_id == Service.id)
    )
    return _of(services, query)


def _of(services: Collection[int] | None, query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    return query if services is None else query.where(OutboxMessage.service_id.in_(services))


def _row_of(uid: UUID) -> Any:
    own = select(OutboxMessage.id).join(Delivery, OutboxMessage.delivery_id == Delivery.id)
    return own.where(Delivery.uid == uid).scalar_subquery()


def _row(record: Any) -> Row:
    uid, channel, subject, text, address, service, created_at = record
    opening = " ".join(text[:400].split())[:120]
    return Row(uid, channel, subject, opening, masked(channel, address), service, created_at)
