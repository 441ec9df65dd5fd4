"""Batches: a notification's memberships in them, and those that wait to be sent, as people see and handle them."""

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec
from sqlalchemy import literal, select, tuple_
from sqlalchemy.orm import Session

from backend.batching import flush
from backend.channels.base import Channel
from backend.db.models.accounts import Mode
from backend.db.models.batches import Batch, BatchMember, BatchStatus, Why
from backend.db.models.notifications import Notification
from backend.db.models.registry import TemplateVersion
from backend.delivery.content import addressee
from backend.delivery.outcomes import waits
from backend.delivery.outcomes.waits import WaitReport
from backend.registry.languages import NUMBER


class MembershipReport(msgspec.Struct, frozen=True, kw_only=True):
    """A membership in a batch: ``sequence`` is its number in order of arrival, ``members`` how many the batch has.

    ``status`` is OPEN or CLOSED while the batch waits, then what became of its message; ``why`` is what closes or
    closed it; ``template_version`` is the one it was sent with. ``removed_at`` is set when this one was taken out.
    """

    batch_id: str
    aggregator_id: str
    status: BatchStatus
    sequence: int
    members: int
    held: bool
    opened_at: datetime
    closes_at: datetime
    why: Why
    closed_at: datetime | None
    dispatched_at: datetime | None
    template_version: int | None
    error: str | None
    removed_at: datetime | None
    waits: WaitReport | None = None


class Membership(msgspec.Struct, frozen=True):
    """A membership of a notification in a batch; ``batch_row`` is the batch's row."""

    batch_row: int
    report: MembershipReport


# By the channel's index and the recipient.
Memberships = dict[tuple[int, str], Membership]


class BatchRow(msgspec.Struct, frozen=True, kw_only=True):
    """A batch in a list; ``members`` counts them, ``why`` is what closes or closed it, ``error`` why it failed.

    ``matter`` is what its message is about. ``recipient`` is an address where it goes to none that is registered.
    """

    batch_id: str
    aggregator_id: str
    matter: str
    channel: Channel
    recipient: str
    template_id: str
    content_type: Literal["text", "html"]
    subject: str | None
    status: BatchStatus
    mode: Mode
    held: bool
    members: int
    opened_at: datetime
    last_member_at: datetime
    closes_at: datetime
    why: Why
    error: str | None
    waits: WaitReport | None


class Member(msgspec.Struct, frozen=True):
    """A buffered notification in its batch; ``sequence`` numbers them in order of arrival."""

    sequence: int
    notification_id: str
    fields: dict[str, Any]


class BatchDetails(BatchRow, frozen=True, kw_only=True):
    """A batch with everything that is in it."""

    notifications: list[Member]


def memberships(session: Session, notification_id: int) -> Memberships:
    """Return the memberships of a notification in batches."""
    rows = session.execute(
        select(BatchMember, Batch, NUMBER)
        .join(Batch, Batch.id == BatchMember.batch_id)
        .outerjoin(TemplateVersion, TemplateVersion.id == Batch.template_version_id)
        .where(BatchMember.notification_id == notification_id)
        .order_by(BatchMember.id)
    )
    return {
        (member.channel_index, member.recipient): Membership(batch.id, _membership(member, batch, version))
        for member, batch, version in rows
    }


def _membership(member: BatchMember, batch: Batch, version: int | None) -> MembershipReport:
    return MembershipReport(
        batch_id=str(batch.uid),
        aggregator_id=batch.aggregator_id,
        status=BatchStatus(batch.status),
        sequence=member.seq,
        members=batch.members,
        held=batch.held,
        opened_at=batch.opened_at,
        closes_at=batch.closes_at,
        why=Why(batch.why),
        closed_at=batch.closed_at,
        dispatched_at=batch.dispatched_at,
        template_version=version,
        error=batch.error,
        removed_at=member.removed_at,
        waits=waits.of_batch(batch),
    )


def waiting(session: Session, service_id: int, *, limit: int, after: int | None) -> tuple[list[BatchRow], int | None]:
    """Return a service's unsent batches behind the row ``after``, oldest first, and where the next page begins."""
    statement = select(Batch).where(Batch.service_id == service_id, flush.unsent())
    if after is not None:
        statement = statement.where(Batch.id > after)
    found = session.scalars(statement.order_by(Batch.id).limit(limit + 1)).all()
    more = len(found) > limit
    return [describe(batch) for batch in found[:limit]], found[limit - 1].id if more else None


def next_to_go(session: Session, service_id: int, limit: int = 200) -> list[BatchRow]:
    """List a service's unsent batches: those that failed to become a message, then by when they go."""
    own = (Batch.service_id == service_id, flush.unsent())
    order = (Batch.status != BatchStatus.FAILED.value, Batch.held, Batch.closes_at, Batch.id)
    return [describe(batch) for batch in session.scalars(select(Batch).where(*own).order_by(*order).limit(limit))]


def every(session: Session, service_id: int, before: int | None, limit: int) -> tuple[list[BatchRow], int | None]:
    """List all of a service's batches behind the row ``before``, the newest first, and where the next page begins."""
    wanted = select(Batch).where(Batch.service_id == service_id).order_by(Batch.id.desc()).limit(limit)
    found = session.scalars(wanted if before is None else wanted.where(Batch.id < before)).all()
    return [describe(batch) for batch in found], found[-1].id if len(found) == limit else None


def rows(session: Session, batch_ids: Collection[int]) -> list[BatchRow]:
    """Return batches by their rows, oldest first."""
    found = session.scalars(select(Batch).where(Batch.id.in_(batch_ids)).order_by(Batch.id))
    return [describe(batch) for batch in found]


MemberCursor = tuple[int, int]
# So many batches and members are told of at once, and so many characters of what the members hold.
_BATCHES, _MEMBERS, _CHARACTERS = 100, 1_000, 4_000_000


def details(
    session: Session, service_id: int, aggregator_id: str, after: MemberCursor = (0, 0)
) -> tuple[list[BatchDetails], MemberCursor | None]:
    """Return the unsent batches of an aggregator with their members, oldest first, and where the next page begins.

    A cursor is a batch's row and the number of the last member of it that was told of.
    """
    wanted = select(Batch).where(
        Batch.service_id == service_id, Batch.aggregator_id == aggregator_id, flush.unsent(), Batch.id >= after[0]
    )
    found = session.scalars(wanted.order_by(Batch.id).limit(_BATCHES + 1)).all()
    batches = [batch for batch in found[:_BATCHES] if batch.id > after[0] or batch.last_seq > after[1]]
    members, last = _members(session, [batch.id for batch in batches], after)
    if last is not None:
        batches = [batch for batch in batches if batch.id <= last[0]]
    elif len(found) > _BATCHES:
        last = found[_BATCHES - 1].id, _NO_SEQUENCE
    told = [
        BatchDetails(**msgspec.structs.asdict(describe(batch)), notifications=members.get(batch.id, []))
        for batch in batches
    ]
    return told, last


_NO_SEQUENCE = 2**31


def _members(
    session: Session, batch_ids: Sequence[int], after: MemberCursor
) -> tuple[dict[int, list[Member]], MemberCursor | None]:
    """Return a page of the members of batches, and the place of the last where there are more."""
    found: dict[int, list[Member]] = {}
    statement = (
        select(BatchMember.batch_id, BatchMember.seq, BatchMember.channel_index, Notification.uid, Notification.content)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .where(BatchMember.batch_id.in_(batch_ids), BatchMember.removed_at.is_(None))
        .where(tuple_(BatchMember.batch_id, BatchMember.seq) > tuple_(*map(literal, after)))
        .order_by(BatchMember.batch_id, BatchMember.seq)
        .limit(_MEMBERS + 1)
        .execution_options(yield_per=50)
    )
    cursor, left, space_left = after, _MEMBERS, _CHARACTERS
    for batch_id, seq, index, uid, content in session.execute(statement):
        if not left or space_left < 0:
            return found, cursor
        found.setdefault(batch_id, []).append(_member(seq, index, uid, content))
        cursor, left, space_left = (batch_id, seq), left - 1, space_left - len(content or "")
    return found, None


def _member(seq: int, index: int, uid: UUID, content: str | None) -> Member:
    return Member(seq, str(uid), json.loads(content or "{}")["channels"][index]["fields"])


def describe(batch: Batch) -> BatchRow:
    """Describe a batch as a list shows it."""
    return BatchRow(
        batch_id=str(batch.uid),
        aggregator_id=batch.aggregator_id,
        matter=batch.matter or batch.aggregator_id,
        channel=Channel(batch.type),
        recipient=addressee.shown(batch.type, batch.recipient, batch.address),
        template_id=batch.template,
        content_type="text" if batch.content_type == "text" else "html",
        subject=batch.subject,
        status=BatchStatus(batch.status),
        mode=Mode(batch.mode),
        held=batch.held,
        members=batch.members,
        opened_at=batch.opened_at,
        last_member_at=batch.last_member_at,
        closes_at=batch.closes_at,
        why=Why(batch.why),
        error=batch.error,
        waits=waits.of_batch(batch),
    )
