"""One matter: whether it is open, what was sent about it over all channels, and what waits to be."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.batching.report import BatchRow, describe
from backend.channels.addresses import masked
from backend.channels.base import Channel
from backend.db.models.batches import Batch, BatchStatus, Why
from backend.db.models.matters import Resolution
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.db.models.registry import Template, TemplateVersion
from backend.db.statements import one_of
from backend.delivery.content import matters
from backend.delivery.outcomes import waits
from backend.delivery.outcomes.waits import WaitReport
from backend.lib import ids
from backend.search.asked import parts_of

_WAITING = (BatchStatus.OPEN, BatchStatus.CLOSED)
_MOST_WAITING = 20
_MOST_QUIET = 20


class MatterMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message about a matter to one address: of a notification, or of a batch.

    ``subject`` is what was sent along; null where the template gives it. ``waits`` is why it may not leave yet.
    """

    id: str
    notification_id: str | None
    batch_id: str | None
    channel: Channel
    address: str
    recipients: list[str]
    template_id: str
    subject: str | None
    status: DeliveryStatus
    created_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    waits: WaitReport | None


class MatterReport(msgspec.Struct, frozen=True, kw_only=True):
    """A matter with a page of its messages, newest first; ``next_cursor`` is null on the last page.

    ``state`` is OPEN until somebody says that it is resolved, and again with the next message. ``resolved_at`` and the
    like are of the last time that it was. ``waiting`` are the first batches about it that were not sent yet.
    """

    matter: str
    state: Literal["OPEN", "RESOLVED"]
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    note: str | None
    messages_total: int
    waiting: list[BatchRow]
    messages: list[MatterMessage]
    next_cursor: str | None


def report(
    session: Session, service_id: int, matter: str, *, limit: int, before: int | None = None
) -> tuple[MatterReport, int | None] | None:
    """Report on a service's matter, with the messages older than the row ``before``; None if it has no such matter.

    The second value is the row of the last message told of, where there are more.
    """
    matter_id = ids.matter_id(service_id, matter)
    last = matters.last_message_at(session, matter_id)
    resolution = session.get(Resolution, matter_id)
    if last is None:
        return None
    own = Delivery.matter_id == matter_id
    total, opened_at = session.execute(select(func.count(), func.min(Delivery.created_at)).where(own)).one()
    wanted = select(Delivery).where(own).order_by(Delivery.id.desc()).limit(limit + 1)
    found = session.scalars(wanted if before is None else wanted.where(Delivery.id < before)).all()
    waiting = _waiting(session, matter_id)
    made = MatterReport(
        matter=matter,
        state="RESOLVED" if matters.is_resolved(resolution, last) else "OPEN",
        opened_at=min([one for one in (opened_at, *(batch.opened_at for batch in waiting)) if one], default=last),
        updated_at=max(last, resolution.resolved_at) if resolution else last,
        resolved_at=resolution.resolved_at if resolution else None,
        resolved_by=resolution.resolved_by if resolution else None,
        note=resolution.note if resolution else None,
        messages_total=total,
        waiting=waiting,
        messages=_messages(session, found[:limit]),
        next_cursor=None,
    )
    return made, found[limit - 1].id if len(found) > limit else None


def quiet(session: Session, service_id: int, matter: str) -> list[BatchRow]:
    """List the latest batches about a matter that were not sent because nothing in them was new, newest first."""
    told = (Batch.matter_id == ids.matter_id(service_id, matter), Batch.why == Why.NOTHING_NEW.value)
    wanted = select(Batch).where(*told, Batch.status == BatchStatus.CANCELLED.value)
    return [describe(one) for one in session.scalars(wanted.order_by(Batch.id.desc()).limit(_MOST_QUIET))]


def _waiting(session: Session, matter_id: UUID) -> list[BatchRow]:
    wanted = select(Batch).where(Batch.matter_id == matter_id, one_of(Batch.status, _WAITING))
    return [describe(one) for one in session.scalars(wanted.order_by(Batch.id).limit(_MOST_WAITING))]


def _messages(session: Session, deliveries: Sequence[Delivery]) -> list[MatterMessage]:
    notifications = {one.notification_id for one in deliveries} - {None}
    asked = select(Notification.id, Notification.uid, Notification.content).where(Notification.id.in_(notifications))
    contents = {row.id: row for row in session.execute(asked)}
    gathered = select(Batch.id, Batch.uid, Batch.subject).where(Batch.id.in_({one.batch_id for one in deliveries}))
    whole = {row.id: row for row in session.execute(gathered)}
    named = (
        select(TemplateVersion.id, Template.identifier)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(TemplateVersion.id.in_({one.template_version_id for one in deliveries}))
    )
    templates = dict(session.execute(named).tuples().all())
    found = []
    for one in deliveries:
        asked_for, batch = contents.get(one.notification_id), whole.get(one.batch_id)
        parts = parts_of(asked_for.content) if asked_for else []
        part = parts[one.channel_index] if one.channel_index is not None and one.channel_index < len(parts) else None
        found.append(
            MatterMessage(
                id=str(one.uid),
                notification_id=str(asked_for.uid) if asked_for else None,
                batch_id=str(batch.uid) if batch else None,
                channel=Channel(one.type),
                address=masked(one.type, one.address),
                recipients=one.recipients,
                template_id=templates[one.template_version_id],
                subject=batch.subject if batch else part.subject if part else None,
                status=DeliveryStatus(one.status),
                created_at=one.created_at,
                sent_at=one.sent_at,
                delivered_at=one.delivered_at,
                waits=waits.of_delivery(one),
            )
        )
    return found
