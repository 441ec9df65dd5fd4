"""The list of notifications as its page shows it: filtered, in keyset pages, at a cost that does not grow."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, func, literal, select
from sqlalchemy.orm import Session

from backend.db.models.notifications import FINAL, Notification, NotificationStatus, Priority
from backend.reports import facts, notifications, searching, waits
from backend.reports.facts import Facts
from backend.reports.notifications import NEWEST_FIRST, Filter
from backend.reports.searching import Hits, Search
from backend.reports.waits import WaitReport
from backend.search.asked import Part, parts_of
from backend.search.hits import Match

PAGE_SIZE = 50
# A page that filters by what no index knows looks at so many notifications and says how far it came.
WINDOW = 3000
# Counting stops here: nobody reads more exactly than "more than 9,999".
MOST_COUNTED = 10_000


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One notification in the list; ``parts`` is empty for one that was refused because it had no readable shape.

    ``send_at`` is when one that waits for its moment is due; ``waits`` is what else keeps it from leaving.
    """

    uid: UUID
    status: str
    mode: str
    priority: str
    aggregator_id: str | None
    parts: list[Part]
    created_at: datetime
    send_at: datetime | None
    facts: Facts
    matches: Sequence[Match] = ()
    waits: WaitReport | None = None

    @property
    def title(self) -> str:
        """Return its subject, or else what it was made from."""
        return title(self.facts.subject, self.parts)

    @property
    def title_parts(self) -> list[tuple[str, bool]]:
        """Return the title in pieces, each of which was searched for or was not."""
        hits = {one.hit for one in self.matches if one.where == "subject"}
        if not hits:
            return [(self.title, False)]
        either = re.compile("|".join(map(re.escape, sorted(hits, key=len, reverse=True))))
        found = [*either.findall(self.title), ""]
        pairs = zip(either.split(self.title), found, strict=True)
        return [piece for plain, hit in pairs for piece in ((plain, False), (hit, True)) if piece[0]]

    @property
    def final(self) -> bool:
        """Tell whether its status is not expected to change by itself."""
        return self.status in FINAL


def title(subject: str | None, parts: Sequence[Part]) -> str:
    """Return what a notification is called: its subject, or else the template that it was made from."""
    return subject or next((one.template_id for one in parts if one.template_id), "Unreadable request")


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
    cursor = _cursor(session, service_id, before) if before is not None else None
    if before is not None and cursor is None:
        return Listed([])
    if wanted.query is not None:
        conditions = [*notifications.by_index(wanted), *notifications.by_looking(wanted)]
        search = Search(service_id, wanted.query, conditions)
        return _searched(session, search, cursor.id if cursor is not None else None, size)
    own = [Notification.service_id == service_id, *notifications.by_index(wanted)]
    if cursor is not None:
        own.append(notifications.behind(cursor.created_at, cursor.id))
    looking = list(notifications.by_looking(wanted))
    lines = _lines(session, own, looking, size + 1)
    if len(lines) > size:
        return Listed(lines[:size], older=lines[size - 1].uid)
    end = _end_of_window(session, own) if looking else None
    return Listed(lines, end[0], end[1]) if end else Listed(lines)


def lines(session: Session, identities: Collection[int]) -> list[Line]:
    """Return these notifications, by their rows, as they stand in the list."""
    return _read_lines(session, select(*_COLUMNS).where(Notification.id.in_(identities)), len(identities))


def _cursor(session: Session, service_id: int, uid: UUID) -> Row[datetime, int] | None:
    return session.execute(
        select(Notification.created_at, Notification.id).where(
            Notification.uid == uid, Notification.service_id == service_id
        )
    ).one_or_none()


def _searched(session: Session, search: Search, before: int | None, size: int) -> Listed:
    hits = searching.page(session, search, before=before, size=size)
    found = select(*_COLUMNS).where(Notification.id.in_(hits.matches)).order_by(Notification.id.desc())
    lines = _described(session, session.execute(found).all(), hits)
    if hits.next is None:
        return Listed(lines)
    edge = select(Notification.uid, Notification.created_at).where(Notification.id == hits.next)
    last = session.execute(edge).one_or_none()
    if last is None:  # it has been deleted just now, and so has all behind it
        return Listed(lines)
    return Listed(lines, last.uid, None if len(lines) == size else last.created_at)


_COLUMNS = (
    Notification.id,
    Notification.uid,
    Notification.status,
    Notification.mode,
    Notification.priority,
    Notification.aggregator_id,
    Notification.content,
    Notification.problem,
    Notification.created_at,
    Notification.send_at,
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
    return _described(session, session.execute(query.order_by(*NEWEST_FIRST).limit(limit)).all())


def _described(session: Session, rows: Sequence[Any], hits: Hits | None = None) -> list[Line]:
    told = facts.of(session, rows, hits.subjects if hits else None)
    held = waits.of_notifications(session, [row.id for row in rows if row.status == NotificationStatus.SCHEDULED])
    return [_line(row, told[row.id], hits.matches[row.id] if hits else (), held.get(row.id)) for row in rows]


def _end_of_window(session: Session, own: Sequence[ColumnElement[bool]]) -> Row[UUID, datetime] | None:
    """Return the last notification that was looked at, if there are more behind it."""
    edge = select(Notification.uid, Notification.created_at).where(*own).order_by(*NEWEST_FIRST)
    found = session.execute(edge.offset(WINDOW - 1).limit(2)).all()
    return found[0] if len(found) == 2 else None


def _line(row: Any, told: Facts, matches: Sequence[Match], waiting: WaitReport | None) -> Line:
    due = waiting.until if waiting is not None else row.send_at
    return Line(
        uid=row.uid,
        status=row.status,
        mode=row.mode,
        priority=Priority(row.priority).name,
        aggregator_id=row.aggregator_id,
        parts=parts_of(row.content),
        created_at=row.created_at,
        send_at=due if row.status == NotificationStatus.SCHEDULED else None,
        facts=told,
        matches=matches,
        waits=waiting,
    )


def counts(session: Session, service_id: int) -> dict[str, int]:
    """Count a service's notifications by status, each up to ``MOST_COUNTED``."""
    found = {}
    for status in NotificationStatus:
        own = and_(Notification.service_id == service_id, Notification.status == status.value)
        some = select(literal(1)).where(own).limit(MOST_COUNTED).subquery()
        found[status.value] = session.scalar(select(func.count()).select_from(some)) or 0
    return found
