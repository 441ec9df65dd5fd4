"""Lists of notifications: filtered, newest first, in pages that do not shift while new ones come in."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, String, and_, bindparam, cast, exists, func, literal, or_, select, tuple_
from sqlalchemy.orm import Session

from backend.db.models.accounts import Mode
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus, Priority
from backend.db.models.registry import Template, TemplateVersion
from backend.db.statements import one_of
from backend.db.types import Moment
from backend.reports import lines
from backend.reports.lines import COLUMNS, Line
from backend.reports.model import Links, MatchReport, NotificationRow
from backend.search import pages
from backend.search.pages import Search
from backend.search.query import Query


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What to list; an absent member filters nothing. ``created_to`` is exclusive, ``query`` is what to search for."""

    status: str | None = None
    mode: str | None = None
    priority: str | None = None
    template_id: str | None = None
    recipient: str | None = None
    aggregator_id: str | None = None
    channel: str | None = None
    job_id: int | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    query: Query | None = None


# So many notifications are looked at for one page of the API.
WINDOW = 5_000


class Keyset(msgspec.Struct, frozen=True):
    """Which page: ``size`` rows behind the row ``before``, whose moment is looked up where ``before_at`` is not given.

    ``window`` is how many are looked at for it, where each has to be looked at; the page may then be short.
    """

    size: int
    window: int
    before: int | None = None
    before_at: datetime | None = None


class Found(msgspec.Struct, frozen=True):
    """A page of lines, newest first.

    ``older`` is the row behind which the next page begins, if there may be one. ``cut_short`` tells that it begins
    where this page stopped looking, and not where it was full.
    """

    lines: list[Line]
    older: int | None = None
    cut_short: bool = False


def find(session: Session, service_id: int, wanted: Filter, keyset: Keyset) -> Found:
    """Find a page of a service's notifications: the one way for API, portal and exports."""
    indexed, looking = list(by_index(wanted)), list(by_looking(wanted))
    size = keyset.size
    if wanted.query is not None:
        return _searched(session, Search(service_id, wanted.query, [*indexed, *looking]), keyset)
    own = [Notification.service_id == service_id, *indexed]
    if keyset.before is not None:
        own.append(_after(session, keyset.before, keyset.before_at))
    query = select(*COLUMNS)
    if looking:
        inside = select(Notification.id).where(*own).order_by(*NEWEST_FIRST).limit(keyset.window).subquery()
        query = query.join(inside, inside.c.id == Notification.id).where(*looking)
    else:
        query = query.where(*own)
    rows = session.execute(query.order_by(*NEWEST_FIRST).limit(size + 1)).all()
    if len(rows) > size:
        return Found(lines.of(session, rows[:size]), rows[size - 1].id)
    end = _end_of_window(session, own, keyset.window) if looking else None
    return Found(lines.of(session, rows), end, end is not None)


def _searched(session: Session, search: Search, keyset: Keyset) -> Found:
    hits = pages.page(session, search, before=keyset.before, size=keyset.size)
    found = select(*COLUMNS).where(Notification.id.in_(hits.matches)).order_by(Notification.id.desc())
    rows = session.execute(found).all()
    return Found(lines.of(session, rows, hits), hits.next, len(rows) != keyset.size)


def _end_of_window(session: Session, own: Sequence[ColumnElement[bool]], window: int) -> int | None:
    """Return the row of the last notification that was looked at, if there are more behind it."""
    edge = select(Notification.id).where(*own).order_by(*NEWEST_FIRST)
    found = session.scalars(edge.offset(window - 1).limit(2)).all()
    return found[0] if len(found) == 2 else None


NEWEST_FIRST = (Notification.created_at.desc(), Notification.id.desc())


def behind(created_at: datetime, identity: int) -> ColumnElement[bool]:
    """Tell which notifications come after one of this moment and row in a list that has the newest first."""
    return tuple_(Notification.created_at, Notification.id) < tuple_(
        bindparam(None, created_at, type_=Moment), bindparam(None, identity)
    )


def _after(session: Session, row: int, created_at: datetime | None) -> ColumnElement[bool]:
    """Tell what comes after a row; after one that is no longer kept, what was numbered before it."""
    if created_at is None:
        created_at = session.scalar(select(Notification.created_at).where(Notification.id == row))
    return Notification.id < row if created_at is None else behind(created_at, row)


def by_index(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    """Give the conditions that an index of a service's notifications answers."""
    if wanted.status is not None:
        yield Notification.status == wanted.status
    if wanted.job_id is not None:
        yield Notification.job_id == wanted.job_id
    if wanted.created_from is not None:
        yield Notification.created_at >= wanted.created_from
    if wanted.created_to is not None:
        yield Notification.created_at < wanted.created_to


def by_looking(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    """Give the conditions for which each notification has to be looked at."""
    if wanted.mode is not None:
        yield Notification.mode == wanted.mode
    if wanted.priority is not None:
        yield Notification.priority == Priority[wanted.priority].value
    if wanted.aggregator_id is not None:
        yield Notification.aggregator_id == wanted.aggregator_id
    if wanted.template_id is not None:
        yield or_(*_made_from(wanted.template_id))
    if wanted.recipient is not None:
        yield or_(*_sent_to(wanted.recipient))
    if wanted.channel is not None:
        yield or_(*_gone_by(wanted.channel))


# An offset keeps PostgreSQL from gathering all deliveries there are before it looks at the first notification.
_OWN_DELIVERIES = select(Delivery.id).where(Delivery.notification_id == Notification.id).offset(0)
_OWN_BATCHES = (
    select(BatchMember.id)
    .join(Batch, Batch.id == BatchMember.batch_id)
    .where(BatchMember.notification_id == Notification.id)
    .offset(0)
)


def _made_from(template_id: str) -> Iterator[ColumnElement[bool]]:
    """Find by template: in the deliveries, in the batches, or in what a refused notification asked for."""
    versions = (
        select(TemplateVersion.id)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(Template.identifier == template_id)
    )
    yield _OWN_DELIVERIES.where(Delivery.template_version_id.in_(versions)).exists()
    yield _OWN_BATCHES.where(Batch.template == template_id).exists()
    yield _asked_for(f'"template_id":{json.dumps(template_id, ensure_ascii=False)}')


def _sent_to(recipient: str) -> Iterator[ColumnElement[bool]]:
    """Find by recipient group, in the same places."""
    quoted = json.dumps(recipient, ensure_ascii=False)  # its quotes mark where it begins and ends
    yield _OWN_DELIVERIES.where(cast(Delivery.recipients, String).contains(quoted, autoescape=True)).exists()
    yield _OWN_BATCHES.where(BatchMember.recipient == recipient).exists()
    yield _asked_for(quoted)


def _gone_by(channel: str) -> Iterator[ColumnElement[bool]]:
    """Find by channel type, in the same places."""
    yield _OWN_DELIVERIES.where(Delivery.type == channel).exists()
    yield _OWN_BATCHES.where(Batch.type == channel).exists()
    yield _asked_for(f'"type":{json.dumps(channel)}')


def _asked_for(text: str) -> ColumnElement[bool]:
    return and_(Notification.accepted_at.is_(None), Notification.content.contains(text, autoescape=True))


# The pages of the list in the portal, whose cursor is a notification's id.

PAGE_SIZE = 50
# A page that filters by what no index knows looks at so many notifications and says how far it came.
PAGE_WINDOW = 3_000


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
    found = find(session, service_id, wanted, keyset)
    if found.older is None:
        return Listed(found.lines)
    edge = select(Notification.uid, Notification.created_at).where(Notification.id == found.older)
    last = session.execute(edge).one_or_none()
    if last is None:  # it has been deleted just now, and so has all behind it
        return Listed(found.lines)
    return Listed(found.lines, last.uid, last.created_at if found.cut_short else None)


def _keyset(session: Session, service_id: int, before: UUID | None, size: int) -> Keyset | None:
    if before is None:
        return Keyset(size, PAGE_WINDOW)
    own = (Notification.uid == before, Notification.service_id == service_id)
    found = session.execute(select(Notification.id, Notification.created_at).where(*own)).one_or_none()
    return Keyset(size, PAGE_WINDOW, found.id, found.created_at) if found is not None else None


# What a service has scheduled, that which is due first before the others.

_SHOWN = 6


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
    read = session.execute(select(*COLUMNS).where(Notification.id.in_(identities[:_SHOWN]))).all()
    shown = sorted(lines.of(session, read), key=lambda line: (line.due_at, line.uid))
    broken = exists().where(
        Delivery.notification_id == Notification.id,
        Delivery.status == DeliveryStatus.SCHEDULED.value,
        Delivery.error.is_not(None),
    )
    at_risk = session.scalars(select(Notification.uid).where(Notification.id.in_(identities), broken))
    return Scheduled(shown, frozenset(at_risk), len(identities) > _SHOWN)


# The counters above the list.

# Counting stops here: nobody reads more exactly than "more than 9,999".
MOST_COUNTED = 10_000


def counts(session: Session, service_id: int) -> dict[str, int]:
    """Count a service's notifications by status, each up to ``MOST_COUNTED``."""
    found = {}
    for status in NotificationStatus:
        own = and_(Notification.service_id == service_id, Notification.status == status.value)
        some = select(literal(1)).where(own).limit(MOST_COUNTED).subquery()
        found[status.value] = session.scalar(select(func.count()).select_from(some)) or 0
    return found


# The list as the API writes it.


def rows(
    session: Session, service_id: int, wanted: Filter, *, limit: int, before: int | None
) -> tuple[list[NotificationRow], int | None]:
    """Return a service's notifications as the API lists them, and the row behind which the next page begins."""
    found = find(session, service_id, wanted, Keyset(limit, WINDOW, before))
    return [_row(line) for line in found.lines], found.older


def _row(line: Line) -> NotificationRow:
    return NotificationRow(
        notification_id=str(line.uid),
        status=NotificationStatus(line.status),
        mode=Mode(line.mode),
        priority=line.priority,
        aggregator_id=line.aggregator_id,
        created_at=line.created_at,
        updated_at=line.updated_at,
        send_at=line.send_at,
        subject=line.facts.subject,
        address=line.facts.address,
        addresses_total=line.facts.addresses,
        error=line.facts.error,
        links=Links(f"/notifications/v1/{line.uid}"),
        waits=line.waits,
        matches=[MatchReport(where=one.where, name=one.name, text=one.text) for one in line.matches],
    )
