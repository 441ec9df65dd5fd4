"""The message of a delivery as it was sent: as it was kept, or rendered again from what it was made of."""

import json
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.channels.attachments import LinkedFile
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, Notification, OutboxMessage, Priority
from backend.db.models.registry import Template, TemplateVersion
from backend.delivery.content import acknowledging, batch_parts, file_links, memories
from backend.delivery.content.file_links import Link
from backend.delivery.content.link_list import listed
from backend.delivery.sending.compose import html_for, render_job, text_for
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.obligations import links as obligation_links
from backend.registry import lookup
from backend.registry.languages import NUMBER
from backend.rendering.pool import PREVIEWS
from backend.reports import attachments


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
