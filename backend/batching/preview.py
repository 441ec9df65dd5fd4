"""The message of a waiting batch as it would go now, with nothing sent."""

import time
from uuid import UUID

import msgspec
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from backend.batching import flush
from backend.batching.manage import nothing_waits
from backend.channels.attachments import AttachedFile
from backend.channels.base import Channel
from backend.db import session as db
from backend.db.models.batches import Batch
from backend.delivery import attached, claims
from backend.delivery.compose import html_for, render_job
from backend.lib.fair import Share
from backend.lib.problems import Problem
from backend.registry import lookup
from backend.rendering.pool import PREVIEWS


class BatchPreview(msgspec.Struct, frozen=True, kw_only=True):
    """One message; where none can be made, ``error`` says why. ``members`` counts what it is made of.

    ``attachments`` are the files that go with it.
    """

    batch_id: str
    channel: Channel
    recipient: str
    template_id: str
    template_version: int | None
    members: int
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    error: str | None = None
    attachments: list[AttachedFile] = []


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
    end, room = time.monotonic() + _SECONDS, _CHARACTERS
    with db.current().read() as session:
        batches = session.scalars(select(Batch).where(wanted).order_by(Batch.id).limit(_AT_ONCE + 1)).all()
        for batch in batches[:_AT_ONCE]:
            found.append(_preview(session, batch))
            room -= len(found[-1].html or "") + len(found[-1].text or "")
            if time.monotonic() > end or room < 0:
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


def _preview(session: Session, batch: Batch) -> BatchPreview:
    version = lookup.templates(session, batch.service_id, [batch.template]).get(batch.template)
    plain = BatchPreview(
        batch_id=str(batch.uid),
        channel=Channel(batch.type),
        recipient=batch.recipient,
        template_id=batch.template,
        template_version=version.number if version else None,
        members=batch.members,
        attachments=attached.of_batch(session, batch.id) if batch.attached_bytes else [],
    )
    if version is None:
        return msgspec.structs.replace(plain, error=f"The template {batch.template} is no longer registered.")
    job = render_job(version, claims.batch_fields(session, batch.id), batch=True, subject=batch.subject)
    try:
        rendered = PREVIEWS.render(job, Share(batch.service_id))
    except Problem as problem:
        return msgspec.structs.replace(plain, error=f"The template does not render: {problem.detail}")
    return msgspec.structs.replace(
        plain,
        subject=batch.subject or rendered.subject,
        html=html_for(batch.type, rendered) if batch.content_type == "html" else None,
        text=rendered.text,
    )
