"""The message of a waiting batch as it would go now, with nothing sent."""

from uuid import UUID

import msgspec
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from backend.batching import flush
from backend.batching.manage import nothing_waits
from backend.db import session as db
from backend.db.models.batches import Batch
from backend.delivery import claims
from backend.delivery.compose import render_job
from backend.lib.problems import Problem
from backend.registry import lookup
from backend.rendering.pool import PREVIEWS
from backend.rendering.titles import html_with


class BatchPreview(msgspec.Struct, frozen=True, kw_only=True):
    """One message; where none can be made, ``error`` says why. ``members`` counts what it is made of."""

    batch_id: str
    channel: str
    recipient: str
    template_id: str
    template_version: int | None
    members: int
    subject: str | None = None
    html: str | None = None
    text: str | None = None
    error: str | None = None


def previews(service_id: int, aggregator_id: str) -> list[BatchPreview]:
    """Render every unsent batch of an aggregator with the template version of this moment.

    Raises:
        Problem: ``not_found`` when the aggregator has none.
    """
    wanted = and_(Batch.service_id == service_id, Batch.aggregator_id == aggregator_id, flush.unsent())
    with db.current().read() as session:
        batches = session.scalars(select(Batch).where(wanted).order_by(Batch.id)).all()
        found = [_preview(session, batch) for batch in batches]
    if not found:
        raise nothing_waits()
    return found


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
        channel=batch.type,
        recipient=batch.recipient,
        template_id=batch.template,
        template_version=version.number if version else None,
        members=batch.members,
    )
    if version is None:
        return msgspec.structs.replace(plain, error=f"The template {batch.template} is no longer registered.")
    try:
        rendered = PREVIEWS.render(render_job(version, claims.batch_fields(session, batch.id), batch=True))
    except Problem as problem:
        return msgspec.structs.replace(plain, error=f"The template does not render: {problem.detail}")
    subject = batch.subject or rendered.subject
    return msgspec.structs.replace(
        plain,
        subject=subject,
        html=html_with(rendered, subject) if batch.content_type == "html" else None,
        text=rendered.text,
    )
