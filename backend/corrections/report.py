"""What was sent again, by whom, and what has become of it since."""

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db import database as db
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.db.models.resends import Resend, ResendItem
from backend.delivery.outcomes.present import Why
from backend.delivery.outcomes.resend import Resent
from backend.registry import address_ids
from backend.reports.exports import Table, table
from backend.reports.messages import is_kept
from backend.search.asked import parts_of

_Row = TypeVar("_Row", Notification, Batch)
_Id = TypeVar("_Id", int, UUID)
# So many notifications and batches stand on the page; the others are counted.
MOST = 300
_READ_AT_ONCE = 500


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One message that was sent again, as it stands now; ``instead_of`` is the address whose place it took.

    ``kept`` tells that it lies in the outbox.
    """

    channel: str
    address: str
    address_id: str
    status: str
    kept: bool
    error: str | None
    instead_of: str | None
    why: Why | None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One notification or batch; ``refused`` says why it was refused again, where it was validated afresh."""

    uid: UUID
    of_batch: bool
    title: str
    status: str
    refused: str | None
    messages: list[Message]

    @property
    def kept(self) -> bool:
        """Tell whether all that went lies in the outbox."""
        went = [one for one in self.messages if one.why is None]
        return bool(went) and self.status == DeliveryStatus.SENT and all(one.kept for one in went)


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One time that something was sent again; a group of failures has a ``reason``. ``more`` are not in the lines."""

    uid: UUID
    by: str
    at: datetime
    reason: str | None
    recipient: str | None
    lines: list[Line]
    more: int

    @property
    def messages(self) -> list[Message]:
        """List the messages of all lines."""
        return [message for line in self.lines for message in line.messages]

    @property
    def went(self) -> int:
        """Count the messages that were queued."""
        return sum(message.why is None for message in self.messages)

    @property
    def stayed(self) -> int:
        """Count the messages that were not, and would have been needed."""
        return sum(message.why in {Why.SUPPRESSED, Why.NO_ADDRESS} for message in self.messages)

    @property
    def accepted(self) -> int:
        """Count the refused notifications that were accepted this time, and the batches that were dispatched."""
        return sum(not line.messages and line.refused is None for line in self.lines)

    @property
    def refused(self) -> int:
        """Count the notifications that were refused again."""
        return sum(line.refused is not None for line in self.lines)


def of(session: Session, service_id: int, uid: UUID, most: int | None = MOST) -> Report | None:
    """Report on one time that something was sent again; ``None`` if the service has none of this id."""
    entry = session.scalar(select(Resend).where(Resend.uid == uid, Resend.service_id == service_id))
    if entry is None:
        return None
    items = session.scalars(select(ResendItem).where(ResendItem.resend_id == entry.id).order_by(ResendItem.id)).all()
    shown = items[:most]
    return Report(
        uid=uid,
        by=entry.sent_by,
        at=entry.at,
        reason=entry.reason,
        recipient=entry.recipient,
        lines=list(_lines(session, service_id, shown)),
        more=len(items) - len(shown),
    )


class _Told(msgspec.Struct, frozen=True):
    line: Line
    message: Message | None


def as_table(service_id: int, uid: UUID) -> Table | None:
    """Give a line for each message that was sent again, and for each notification or batch without one."""
    with db.current().read() as session:
        found = of(session, service_id, uid, None)
    if found is None:
        return None
    columns = "line.uid line.title line.refused message.channel message.address message.instead_of message.why"
    without: tuple[Message | None] = (None,)
    rows = (_Told(line, message) for line in found.lines for message in line.messages or without)
    return table(f"{columns} message.status message.error", rows)


def _lines(session: Session, service_id: int, items: Collection[ResendItem]) -> Iterator[Line]:
    notifications = _rows(session, Notification, {item.notification_id for item in items})
    batches = _rows(session, Batch, {item.batch_id for item in items})
    told = {item.id: [msgspec.convert(one, Resent) for one in item.messages] for item in items}
    known = _deliveries(session, [one for messages in told.values() for one in messages])
    for item in items:
        messages = [_message(service_id, one, known) for one in told[item.id] if one.uid in known]
        if item.notification_id in notifications:
            notification = notifications[item.notification_id]
            parts = parts_of(notification.content)
            title = (parts[0].subject or parts[0].template_id) if parts else "Unreadable request"
            yield _line(notification, title, item.refused, messages)
        elif item.batch_id in batches:
            batch = batches[item.batch_id]
            yield _line(batch, batch.aggregator_id, item.refused, messages)


def _line(whole: Notification | Batch, title: str, refused: str | None, messages: list[Message]) -> Line:
    return Line(
        uid=whole.uid,
        of_batch=isinstance(whole, Batch),
        title=title,
        status=whole.status,
        refused=refused,
        messages=messages,
    )


def _rows(session: Session, model: type[_Row], rows: set[int | None]) -> dict[int | None, _Row]:
    wanted = sorted(row for row in rows if row is not None)
    return {one.id: one for some in _some(wanted) for one in session.scalars(select(model).where(model.id.in_(some)))}


def _deliveries(session: Session, messages: list[Resent]) -> dict[UUID, Delivery]:
    wanted = [uid for one in messages for uid in (one.uid, one.instead_of) if uid is not None]
    found = (session.scalars(select(Delivery).where(Delivery.uid.in_(some))) for some in _some(wanted))
    return {one.uid: one for some in found for one in some}


def _some(wanted: list[_Id]) -> Iterator[list[_Id]]:
    """Yield what is wanted in portions that a statement takes."""
    for begin in range(0, len(wanted), _READ_AT_ONCE):
        yield wanted[begin : begin + _READ_AT_ONCE]


def _message(service_id: int, one: Resent, known: dict[UUID, Delivery]) -> Message:
    delivery, old = known[one.uid], known.get(one.instead_of) if one.instead_of else None
    return Message(
        channel=delivery.type,
        address=masked(delivery.type, delivery.address),
        address_id=address_ids.seal(service_id, delivery.address),
        status=delivery.status,
        kept=is_kept(delivery.provider, delivery.status),
        error=delivery.error,
        instead_of=masked(old.type, old.address) if old else None,
        why=one.why,
    )
