"""The list of notifications as its page shows it: filtered, in keyset pages, at a cost that does not grow."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, func, literal, select
from sqlalchemy.orm import Session

from backend.db.models.notifications import Delivery, Notification, NotificationStatus, Priority
from backend.reports import notifications
from backend.reports.notifications import NEWEST_FIRST, Filter

PAGE_SIZE = 50
# A page that filters by what no index knows looks at so many notifications and says how far it came.
WINDOW = 3000
# Counting stops here: nobody reads more exactly than "more than 9,999".
MOST_COUNTED = 10_000
FINAL = frozenset(NotificationStatus) - {NotificationStatus.DISPATCHED, NotificationStatus.BUFFERED}
_MIN_DIGITS = 4
_ALL_DIGITS = 32


class Part(msgspec.Struct, frozen=True):
    """What one channel of a notification asks for."""

    type: str = ""
    template_id: str = ""
    recipient: list[str] = []
    subject: str | None = None


class _Content(msgspec.Struct, frozen=True):
    channels: list[Part] = []


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One notification in the list; ``parts`` is empty for one that was refused because it had no readable shape."""

    uid: UUID
    status: str
    priority: str
    aggregator_id: str | None
    parts: list[Part]
    created_at: datetime

    @property
    def final(self) -> bool:
        """Tell whether its status is not expected to change by itself."""
        return self.status in FINAL


class Listed(msgspec.Struct, frozen=True):
    """A page of the list, newest first.

    ``older`` is the notification behind which the next page begins. ``looked_back_to`` is set where the search came
    to the end of what one page looks at and not to the end of the list.
    """

    lines: list[Line]
    older: UUID | None = None
    looked_back_to: datetime | None = None


def page(session: Session, service_id: int, wanted: Filter, *, before: UUID | None, size: int = PAGE_SIZE) -> Listed:
    """List a service's notifications behind ``before``; one that the service does not have gives an empty page."""
    own = [Notification.service_id == service_id, *notifications.by_index(wanted)]
    if before is not None:
        place = _place(session, service_id, before)
        if place is None:
            return Listed([])
        own.append(place)
    looking = list(notifications.by_looking(wanted))
    lines = _lines(session, own, looking, size + 1)
    if len(lines) > size:
        return Listed(lines[:size], older=lines[size - 1].uid)
    end = _end_of_window(session, own) if looking else None
    return Listed(lines, end[0], end[1]) if end else Listed(lines)


def _place(session: Session, service_id: int, uid: UUID) -> ColumnElement[bool] | None:
    found = session.execute(
        select(Notification.created_at, Notification.id).where(
            Notification.uid == uid, Notification.service_id == service_id
        )
    ).one_or_none()
    return notifications.behind(*found) if found else None


_COLUMNS = (
    Notification.uid,
    Notification.status,
    Notification.priority,
    Notification.aggregator_id,
    Notification.content,
    Notification.created_at,
)


def _lines(
    session: Session, own: Sequence[ColumnElement[bool]], looking: Sequence[ColumnElement[bool]], limit: int
) -> list[Line]:
    query = select(*_COLUMNS)
    if not looking:
        return _read_lines(session, query.where(*own), limit)
    window = select(Notification.id).where(*own).order_by(*NEWEST_FIRST).limit(WINDOW).subquery()
    return _read_lines(session, query.join(window, window.c.id == Notification.id).where(*looking), limit)


def _read_lines(session: Session, query: Select[*tuple[Any, ...]], limit: int) -> list[Line]:
    return [_line(row) for row in session.execute(query.order_by(*NEWEST_FIRST).limit(limit))]


def _end_of_window(session: Session, own: Sequence[ColumnElement[bool]]) -> Row[UUID, datetime] | None:
    """Return the last notification that was looked at, if there are more behind it."""
    edge = select(Notification.uid, Notification.created_at).where(*own).order_by(*NEWEST_FIRST)
    found = session.execute(edge.offset(WINDOW - 1).limit(2)).all()
    return found[0] if len(found) == 2 else None


def _line(row: Any) -> Line:
    return Line(
        uid=row.uid,
        status=row.status,
        priority=Priority(row.priority).name,
        aggregator_id=row.aggregator_id,
        parts=parts_of(row.content),
        created_at=row.created_at,
    )


_read = msgspec.json.Decoder(_Content).decode


def parts_of(content: str | None) -> list[Part]:
    """Read what a notification asks for; a refused one may have any shape, and then tells nothing."""
    try:
        return _read(content or "{}").channels
    except (msgspec.DecodeError, RecursionError):
        return []


def counts(session: Session, service_id: int) -> dict[str, int]:
    """Count a service's notifications by status, each up to ``MOST_COUNTED``."""
    found = {}
    for status in NotificationStatus:
        own = and_(Notification.service_id == service_id, Notification.status == status.value)
        some = select(literal(1)).where(own).limit(MOST_COUNTED).subquery()
        found[status.value] = session.scalar(select(func.count()).select_from(some)) or 0
    return found


def search(session: Session, service_id: int, text: str) -> list[Line] | None:
    """Find notifications by their id, the beginning of it, or the id of one of their deliveries, newest first.

    ``None`` says that the text cannot be the beginning of an id: it takes four hexadecimal digits or more.
    """
    digits = text.strip().replace("-", "").lower()
    if not _MIN_DIGITS <= len(digits) <= _ALL_DIGITS or set(digits) - set("0123456789abcdef"):
        return None
    low, high = UUID(digits.ljust(_ALL_DIGITS, "0")), UUID(digits.ljust(_ALL_DIGITS, "f"))
    named = [Notification.uid.between(low, high)]
    if len(digits) == _ALL_DIGITS and (identities := _of_delivery(session, low)):
        named = [Notification.id.in_(identities)]
    # What begins so is found first, of whatever service: few, by the index of ids. The sum keeps SQLite from going
    # through all of the service's instead.
    few = session.scalars(select(Notification.id).where(*named).limit(WINDOW)).all()
    own = (Notification.id.in_(few), Notification.service_id + 0 == service_id)
    return _read_lines(session, select(*_COLUMNS).where(*own), PAGE_SIZE)


def _of_delivery(session: Session, uid: UUID) -> Collection[int]:
    found = session.scalars(select(Delivery.notification_id).where(Delivery.uid == uid))
    return [identity for identity in found if identity is not None]
