"""The message of a waiting batch as it would go now, with nothing sent."""

import time
from uuid import UUID

import msgspec
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from backend.batching import flush, wording
from backend.batching.manage import nothing_waits
from backend.channels.attachments import AttachedFile
from backend.channels.base import Channel
from backend.db import database as db
from backend.db.models.batches import Batch
from backend.delivery.content import addressee, batch_parts, memories
from backend.delivery.content.link_list import listed
from backend.delivery.content.memories import News
from backend.delivery.sending import attached
from backend.delivery.sending.compose import html_for, render_job, text_for
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.registry import lookup
from backend.registry.lookup import FoundTemplate
from backend.rendering.model import Memory
from backend.rendering.pool import PREVIEWS


class BatchPreview(msgspec.Struct, frozen=True, kw_only=True):
    """One message; where none can be made, ``error`` says why. ``members`` counts what it is made of.

    ``attachments`` are the files that go with it. ``news`` counts what is new in it, where its template remembers what
    was told before.
    """

    batch_id: str
    channel: Channel
    recipient: str
    template_id: str
    template_version: int | None
    language: str | None
    members: int
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    error: str | None = None
    attachments: list[AttachedFile] = []
    news: News | None = None


# Rendering stops after so many batches, or this time, or so many characters of messages.
_AT_ONCE = 20
_SECONDS = 4.0
_CHARACTERS = 8_000_000


def previews(service_id: int, aggregator_id: str, after: int = 0) -> tuple[list[BatchPreview], int | None]:
    """Render unsent batches of an aggregator behind the row ``after`` with the template version of this moment.

    The second value is the row of the last where there are more.

    Raises:
        Problem: ``not_found`` when the aggregator has none.
    """
    wanted = and_(
        Batch.service_id == service_id, Batch.aggregator_id == aggregator_id, flush.unsent(), Batch.id > after
    )
    found: list[BatchPreview] = []
    end, space_left = time.monotonic() + _SECONDS, _CHARACTERS
    with db.current().read() as session:
        batches = session.scalars(select(Batch).where(wanted).order_by(Batch.id).limit(_AT_ONCE + 1)).all()
        for batch in batches[:_AT_ONCE]:
            found.append(_preview(session, batch))
            space_left -= len(found[-1].html or "") + len(found[-1].text or "")
            if time.monotonic() > end or space_left < 0:
                break
    if not found and not after:
        raise nothing_waits()
    return found, batches[len(found) - 1].id if len(batches) > len(found) else None


def of_batch(service_id: int, uid: UUID) -> BatchPreview:
    """Render one unsent batch with the template version of this moment.

    Raises:
        Problem: ``not_found`` when the service has none of this id that waits.
    """
    with db.current().read() as session:
        own = and_(Batch.service_id == service_id, Batch.uid == uid, flush.unsent())
        batch = session.scalar(select(Batch).where(own))
        if batch is None:
            raise nothing_waits()
        return _preview(session, batch)


def news_of(service_id: int, uid: UUID) -> News | None:
    """Count what would be new in an unsent batch; None if there is none of this id, or it remembers nothing."""
    with db.current().read() as session:
        batch = session.scalar(select(Batch).where(Batch.service_id == service_id, Batch.uid == uid, flush.unsent()))
        version = lookup.templates(session, service_id, [batch.template]).get(batch.template) if batch else None
        memory = _memory(session, batch, version) if batch and version else None
        if batch is None or version is None or memory is None:
            return None
        return memories.news(batch_parts.read(session, batch.id, examples=True).fields, version.batch, memory)


def _memory(session: Session, batch: Batch, version: FoundTemplate) -> Memory | None:
    if "item_key" not in (version.batch or {}):
        return None
    return memories.present(session, addressee.memory(batch))


def _preview(session: Session, batch: Batch) -> BatchPreview:
    choice = wording.of_batch(session, batch)
    version = choice.template if choice else None
    plain = BatchPreview(
        batch_id=str(batch.uid),
        channel=Channel(batch.type),
        recipient=addressee.shown(batch.type, batch.recipient, batch.address),
        template_id=batch.template,
        template_version=version.number if version else None,
        language=version.language if version else None,
        members=batch.members,
        attachments=attached.of_batch(session, batch.id) if batch.attached_bytes else [],
    )
    if version is None:
        return msgspec.structs.replace(plain, error=f"The template {batch.template} is no longer registered.")
    part = batch_parts.read(session, batch.id, examples=True)
    memory = _memory(session, batch, version)
    plain = msgspec.structs.replace(plain, news=memories.news(part.fields, version.batch, memory) if memory else None)
    job = render_job(version, part.fields, batch=True, subject=batch.subject, memory=memory)
    try:
        rendered = listed(PREVIEWS.render(job, Share(batch.service_id)), part.links)
    except Problem as problem:
        return msgspec.structs.replace(plain, error=f"The template does not render: {problem.detail}")
    return msgspec.structs.replace(
        plain,
        subject=batch.subject or rendered.subject,
        html=html_for(batch.type, rendered) if batch.content_type == "html" else None,
        text=text_for(batch.type, rendered),
    )
