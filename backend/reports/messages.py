"""The messages of deliveries as they were sent: those in the outbox, and any as it was kept or is rendered again."""

import json
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.channels.attachments import LinkedFile
from backend.db.models.accounts import Service
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, OutboxMessage, Priority
from backend.db.models.registry import Template, TemplateVersion
from backend.delivery.content import acknowledging, batch_parts, file_links, memories
from backend.delivery.content.file_links import Link
from backend.delivery.content.link_list import listed
from backend.delivery.outcomes.record import OUTBOX
from backend.delivery.sending.compose import html_for, render_job, text_for
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.obligations import links as obligation_links
from backend.registry import lookup
from backend.registry.languages import NUMBER
from backend.rendering.pool import PREVIEWS
from backend.reports import attachments
from backend.reports.model import AttachmentReport

_LIES = and_(Delivery.provider == OUTBOX, Delivery.status == DeliveryStatus.SENT.value)
PAGE_SIZE = 50


# What counts as sent and lies in the outbox: nothing of it has left the application.


def is_kept(provider: str | None, status: str) -> bool:
    """Tell whether a message of this provider and state lies in the outbox."""
    return provider == OUTBOX and status == DeliveryStatus.SENT


def deliveries(session: Session, uids: Collection[UUID]) -> set[UUID]:
    """Return which of these messages lie in the outbox."""
    return set(session.scalars(select(Delivery.uid).where(Delivery.uid.in_(uids), _LIES)))


def batches(session: Session, uids: Collection[UUID]) -> set[UUID]:
    """Return of which of these batches every message lies in the outbox."""
    counted = (
        select(Batch.uid)
        .join(Delivery, Delivery.batch_id == Batch.id)
        .where(Batch.uid.in_(uids))
        .group_by(Batch.uid)
        .having(func.count() == func.count(Delivery.id).filter(_LIES))
    )
    return set(session.scalars(counted))


# The message of a delivery as it was sent: as it was kept, or rendered again from what it was made of.


class Rendition(msgspec.Struct, frozen=True, kw_only=True):
    """One message. ``kept`` tells that it lies in the outbox as it is here; else it was rendered again just now.

    ``fault`` says why it cannot be shown; ``html`` is null where there is text alone.
    """

    uid: UUID
    channel: str
    address: str
    template: str
    version: int
    kept: bool
    subject: str | None = None
    text: str = ""
    html: str | None = None
    fault: str | None = None


class _Asked(msgspec.Struct, frozen=True):
    """What a message is made from: one channel of a notification, or a batch.

    The links are examples: who looks at a message here is not to fetch in the name of whom it went to.
    """

    content_type: str
    fields: Any = None
    subject: str | None = None
    links: list[Link] = []
    until: str | None = None


class _Channel(msgspec.Struct, frozen=True):
    content_type: str
    fields: Any = None
    subject: str | None = None
    linked_files: list[LinkedFile] = []


def origin(session: Session, service_id: int, uid: UUID) -> Rendition | None:
    """Tell where the message of a service's delivery would come from, without the message itself."""
    found = _origin(session, service_id, uid)
    return found[1] if found else None


def of_delivery(session: Session, service_id: int, uid: UUID) -> Rendition | None:
    """Return the message of a service's delivery; ``None`` if the service has none of this id."""
    found = _origin(session, service_id, uid)
    if found is None:
        return None
    delivery, plain = found
    if plain.kept:
        kept = session.scalars(select(OutboxMessage).where(OutboxMessage.delivery_id == delivery.id)).one()
        whole = msgspec.structs.replace(plain, subject=kept.subject, text=kept.text, html=kept.html)
    else:
        whole = _rendered(session, delivery, plain)
    if whole.html is None:
        return whole
    return msgspec.structs.replace(whole, html=attachments.shown_html(session, delivery, whole.html))


def _origin(session: Session, service_id: int, uid: UUID) -> tuple[Delivery, Rendition] | None:
    delivery = session.scalar(select(Delivery).where(Delivery.uid == uid, Delivery.service_id == service_id))
    if delivery is None:
        return None
    template, number = session.execute(
        select(Template.identifier, NUMBER)
        .join(TemplateVersion, TemplateVersion.template_id == Template.id)
        .where(TemplateVersion.id == delivery.template_version_id)
    ).one()
    kept = session.scalar(select(OutboxMessage.id).where(OutboxMessage.delivery_id == delivery.id))
    return delivery, Rendition(
        uid=uid,
        channel=delivery.type,
        address=masked(delivery.type, delivery.address),
        template=template,
        version=number,
        kept=kept is not None,
    )


def _rendered(session: Session, delivery: Delivery, plain: Rendition) -> Rendition:
    asked = _of_batch(session, delivery.batch_id) if delivery.batch_id else _of_notification(session, delivery)
    if asked is None:
        return msgspec.structs.replace(plain, fault="What the message was made of is no longer kept.")
    version = lookup.versions(session, [delivery.template_version_id])[delivery.template_version_id]
    memory = memories.of_batch(session, delivery.batch_id) if delivery.batch_id and version.batch else None
    # Of a batch that a scheduled notification is still to join there is this one member.
    joins = delivery.batch_id is None and delivery.priority == Priority.BATCH
    fields, batch = ([asked.fields], True) if joins else (asked.fields, delivery.batch_id is not None)
    job = render_job(version, fields, batch=batch, subject=asked.subject, memory=memory)
    try:
        made = listed(PREVIEWS.render(job, Share(delivery.service_id)), asked.links)
        if asked.until:
            made = acknowledging.offered(made, delivery.type, asked.until, obligation_links.example())
    except Problem as problem:
        return msgspec.structs.replace(plain, fault=f"The template does not render: {problem.detail}")
    subject = asked.subject or made.subject
    html = html_for(delivery.type, made) if asked.content_type == "html" else None
    return msgspec.structs.replace(plain, subject=subject, text=text_for(delivery.type, made), html=html)


def _of_notification(session: Session, delivery: Delivery) -> _Asked | None:
    content = session.scalar(select(Notification.content).where(Notification.id == delivery.notification_id))
    if content is None or delivery.channel_index is None:
        return None
    whole = json.loads(content)
    channel = msgspec.convert(whole["channels"][delivery.channel_index], _Channel)
    links, until = file_links.examples(channel.linked_files), msgspec.convert(whole, acknowledging.Owed).until
    fields = file_links.seen(channel.fields, links)
    if until:
        fields = acknowledging.seen(fields, obligation_links.example())
    return _Asked(channel.content_type, fields, channel.subject, links, until)


def _of_batch(session: Session, batch_id: int) -> _Asked:
    content_type, subject = session.execute(select(Batch.content_type, Batch.subject).where(Batch.id == batch_id)).one()
    part = batch_parts.read(session, batch_id, examples=True)
    return _Asked(content_type, part.fields, subject, part.links)


# The outbox as its pages show it: newest first in keyset pages, and one message whole.


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
