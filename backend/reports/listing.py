"""The list of notifications as its page shows it: filtered, in keyset pages, at a cost that does not grow."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import and_, exists, func, literal, select
from sqlalchemy.orm import Session

from backend.db.models.notifications import FINAL, Delivery, DeliveryStatus, Notification, NotificationStatus, Priority
from backend.db.statements import one_of
from backend.delivery.outcomes.waits import WaitReport
from backend.reports import notifications
from backend.reports.facts import Facts
from backend.reports.notifications import COLUMNS, NEWEST_FIRST, Filter, Keyset, Page
from backend.search.asked import Part, parts_of
from backend.search.hits import Match

PAGE_SIZE = 50
# A page that filters by what no index knows looks at so many notifications and says how far it came.
WINDOW = 3000
# Counting stops here: nobody reads more exactly than "more than 9,999".
MOST_COUNTED = 10_000
_SHOWN = 6


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
    keyset = _keyset(session, service_id, before, size)
    if keyset is None:
        return Listed([])
    found = notifications.find(session, service_id, wanted, keyset)
    if found.older is None:
        return Listed(_lines(found))
    edge = select(Notification.uid, Notification.created_at).where(Notification.id == found.older)
    last = session.execute(edge).one_or_none()
    if last is None:  # it has been deleted just now, and so has all behind it
        return Listed(_lines(found))
    return Listed(_lines(found), last.uid, last.created_at if found.cut_short else None)


def lines_of(session: Session, identities: Collection[int]) -> list[Line]:
    """Return these notifications, by their rows, as they stand in the list."""
    query = select(*COLUMNS).where(Notification.id.in_(identities)).order_by(*NEWEST_FIRST)
    return _lines(notifications.described(session, session.execute(query).all()))


def _keyset(session: Session, service_id: int, before: UUID | None, size: int) -> Keyset | None:
    if before is None:
        return Keyset(size, WINDOW)
    own = (Notification.uid == before, Notification.service_id == service_id)
    found = session.execute(select(Notification.id, Notification.created_at).where(*own)).one_or_none()
    return Keyset(size, WINDOW, found.id, found.created_at) if found is not None else None


def _lines(page: Page) -> list[Line]:
    return [_line(one, page.facts[one.id], page.matches.get(one.id, ()), page.waits.get(one.id)) for one in page.rows]


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


# What a service has scheduled, that which is due first before the others.


class Scheduled(msgspec.Struct, frozen=True):
    """The next notifications; ``at_risk`` are those that could not be sent as things are, ``more`` says there are."""

    lines: list[Line]
    at_risk: frozenset[UUID]
    more: bool


def next_of_service(session: Session, service_id: int) -> Scheduled:
    """Return the next notifications of a service that wait for their moment."""
    waits = one_of(Notification.status, [NotificationStatus.SCHEDULED])
    own = (waits, Notification.service_id == service_id, Notification.send_at.is_not(None))
    rows = session.scalars(select(Notification.id).where(*own).order_by(Notification.send_at, Notification.id).limit(7))
    identities = list(rows)
    lines = sorted(lines_of(session, identities[:_SHOWN]), key=lambda line: (line.send_at, line.uid))
    broken = exists().where(
        Delivery.notification_id == Notification.id,
        Delivery.status == DeliveryStatus.SCHEDULED.value,
        Delivery.error.is_not(None),
    )
    at_risk = session.scalars(select(Notification.uid).where(Notification.id.in_(identities), broken))
    return Scheduled(lines, frozenset(at_risk), len(identities) > _SHOWN)
