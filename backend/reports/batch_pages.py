"""Batches for their pages: those that went lately, and one of them with its members."""

from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.batching import flush, report
from backend.batching.report import BatchRow
from backend.db.models.batches import Batch, BatchMember, BatchStatus
from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus, Event, Notification
from backend.db.models.registry import TemplateVersion
from backend.delivery.outcomes import resend_log
from backend.delivery.outcomes.resend_log import Entry
from backend.registry.languages import NUMBER
from backend.reports import failing, messages, particulars
from backend.reports.failing import Line
from backend.reports.particulars import Answer, DeliveryRow

LATELY = 20
MEMBERS = 50
_HAPPENINGS = 100
_FIELDS_LENGTH = 400
_UNSENT = (BatchStatus.OPEN, BatchStatus.CLOSED)
_WAITING = frozenset(WAITING)


class Member(msgspec.Struct, frozen=True):
    """A buffered notification in its batch; ``fields`` is the beginning of its fields as JSON."""

    sequence: int
    notification_uid: UUID
    fields: str
    joined_at: datetime


class Happening(msgspec.Struct, frozen=True):
    """Something that happened to the batch as a whole."""

    at: datetime
    what: str


class GoneBatch(BatchRow, frozen=True, kw_only=True):
    """A batch that has gone; ``kept`` tells that its message lies in the outbox."""

    kept: bool


class BatchPage(msgspec.Struct, frozen=True, kw_only=True):
    """One batch. ``unsent`` tells that it can be sent on demand, ``waits`` that it can be held back or let go.

    ``after`` is the sequence behind which the next page of members begins. ``failed`` counts the messages that can
    be sent again, ``waiting`` those that can be cancelled; ``going`` and ``resends`` are as in ``Particulars``. One
    ``to_address`` goes to an address itself, which the row has in the place of a recipient.
    """

    row: BatchRow
    to_address: bool
    unsent: bool
    waits: bool
    template_version: int | None
    dispatched_at: datetime | None
    members: list[Member]
    after: int | None
    deliveries: list[DeliveryRow]
    answers: list[Answer]
    happenings: list[Happening]
    failed: int
    waiting: int
    going: list[Line]
    resends: list[Entry]

    @property
    def kept(self) -> bool:
        """Tell whether its message lies in the outbox for all of its addresses."""
        return bool(self.deliveries) and all(one.kept for one in self.deliveries)

    @property
    def final(self) -> bool:
        """Tell whether nothing more is expected to happen by itself."""
        return not self.waits and self.row.status != BatchStatus.DISPATCHED.value


def lately(session: Session, service_id: int) -> list[GoneBatch]:
    """List the service's newest batches that have gone, or come to nothing, the newest first."""
    newest: list[int] = []
    for status in set(BatchStatus) - set(_UNSENT):
        own = (Batch.service_id == service_id, Batch.status == status.value)
        newest += session.scalars(select(Batch.id).where(*own).order_by(Batch.id.desc()).limit(LATELY))
    found = report.rows(session, sorted(newest)[-LATELY:])[::-1]
    lying = messages.batches(session, [UUID(one.batch_id) for one in found])
    return [GoneBatch(**msgspec.structs.asdict(one), kept=UUID(one.batch_id) in lying) for one in found]


def one(session: Session, service_id: int, uid: UUID, *, after: int = 0) -> BatchPage | None:
    """Return a service's batch with the members behind the sequence ``after``; ``None`` if it has none of this id."""
    own = (Batch.uid == uid, Batch.service_id == service_id)
    batch = session.scalar(select(Batch).where(*own))
    if batch is None:
        return None
    deliveries = session.scalars(select(Delivery).where(Delivery.batch_id == batch.id).order_by(Delivery.id)).all()
    members, more = _members(session, batch.id, after)
    free = [delivery.status for delivery in deliveries if delivery.claimed_by is None]
    failed = [one for one in deliveries if one.claimed_by is None and one.status == DeliveryStatus.FAILED.value]
    return BatchPage(
        row=report.describe(batch),
        to_address=batch.address is not None,
        unsent=session.scalar(select(Batch.id).where(*own, flush.unsent())) is not None,
        waits=batch.status in _UNSENT,
        template_version=_version(session, batch),
        dispatched_at=batch.dispatched_at,
        members=members,
        after=members[-1].sequence if more else None,
        deliveries=particulars.delivery_rows(session, deliveries),
        answers=particulars.answers(session, deliveries),
        happenings=_happenings(session, batch),
        failed=len(failed),
        waiting=sum(status in _WAITING for status in free),
        going=failing.lines(session, service_id, failed[: particulars.GOING_SHOWN]),
        resends=resend_log.of(session, None, [batch.id]),
    )


def _members(session: Session, batch_id: int, after: int) -> tuple[list[Member], bool]:
    """Return a page of members, and whether there are more."""
    columns = (BatchMember.seq, BatchMember.channel_index, Notification.uid, Notification.content)
    found = session.execute(
        select(*columns, Notification.created_at)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .where(BatchMember.batch_id == batch_id, BatchMember.seq > after, BatchMember.removed_at.is_(None))
        .order_by(BatchMember.seq)
        .limit(MEMBERS + 1)
    ).all()
    return [_member(*row) for row in found[:MEMBERS]], len(found) > MEMBERS


class _Part(msgspec.Struct, frozen=True):
    fields: msgspec.Raw


class _Content(msgspec.Struct, frozen=True):
    channels: list[_Part]


def _member(sequence: int, index: int, uid: UUID, content: str | None, joined_at: datetime) -> Member:
    channels = msgspec.json.decode(content, type=_Content).channels if content else []
    fields = bytes(channels[index].fields).decode() if channels else ""
    shown = fields if len(fields) <= _FIELDS_LENGTH else fields[:_FIELDS_LENGTH] + "…"
    return Member(sequence, uid, shown, joined_at)


def _version(session: Session, batch: Batch) -> int | None:
    identity = batch.template_version_id
    return session.scalar(select(NUMBER).where(TemplateVersion.id == identity)) if identity else None


def _happenings(session: Session, batch: Batch) -> list[Happening]:
    """Tell of the batch as a whole, the latest hundred; what happened to its messages is told by their answers."""
    told = [Happening(batch.opened_at, "Opened by its first notification")]
    own = (Event.batch_id == batch.id, Event.delivery_id.is_(None))
    latest = session.scalars(select(Event).where(*own).order_by(Event.at.desc(), Event.id.desc()).limit(_HAPPENINGS))
    return told + [Happening(event.at, event.detail or "") for event in latest][::-1]
