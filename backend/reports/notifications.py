"""Lists of notifications: filtered, newest first, in pages that do not shift while new ones come in."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, String, and_, bindparam, cast, or_, select, tuple_
from sqlalchemy.orm import Session

from backend.db.models.accounts import Mode
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Delivery, Notification, NotificationStatus, Priority
from backend.db.models.registry import Template, TemplateVersion
from backend.db.types import Moment
from backend.delivery.outcomes import waits
from backend.delivery.outcomes.waits import WaitReport
from backend.reports import facts
from backend.reports.facts import Facts
from backend.reports.model import Links, MatchReport, NotificationRow, priority_name
from backend.search import pages
from backend.search.hits import Match
from backend.search.pages import Hits, Search
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


class Page(msgspec.Struct, frozen=True):
    """Rows of notifications, newest first, with what lists say of them besides.

    ``older`` is the row behind which the next page begins, if there may be one. ``cut_short`` tells that it begins
    where this page stopped looking, and not where it was full.
    """

    rows: Sequence[Any]
    facts: Mapping[int, Facts]
    waits: Mapping[int, WaitReport]
    matches: Mapping[int, Sequence[Match]] = {}
    older: int | None = None
    cut_short: bool = False


# What lists say of a notification.
COLUMNS = (
    Notification.id,
    Notification.uid,
    Notification.status,
    Notification.mode,
    Notification.priority,
    Notification.aggregator_id,
    Notification.content,
    Notification.problem,
    Notification.created_at,
    Notification.updated_at,
    Notification.send_at,
)


def find(session: Session, service_id: int, wanted: Filter, keyset: Keyset) -> Page:
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
        return described(session, rows[:size], older=rows[size - 1].id)
    end = _end_of_window(session, own, keyset.window) if looking else None
    return described(session, rows, older=end, cut_short=end is not None)


def _searched(session: Session, search: Search, keyset: Keyset) -> Page:
    hits = pages.page(session, search, before=keyset.before, size=keyset.size)
    found = select(*COLUMNS).where(Notification.id.in_(hits.matches)).order_by(Notification.id.desc())
    rows = session.execute(found).all()
    return described(session, rows, hits, older=hits.next, cut_short=len(rows) != keyset.size)


def described(
    session: Session,
    rows: Sequence[Any],
    hits: Hits | None = None,
    *,
    older: int | None = None,
    cut_short: bool = False,
) -> Page:
    """Read what lists say besides of notifications, whose ``COLUMNS`` are given."""
    told = facts.of(session, rows, hits.subjects if hits else None)
    held = waits.of_notifications(session, [row.id for row in rows if row.status == NotificationStatus.SCHEDULED])
    return Page(rows, told, held, hits.matches if hits else {}, older, cut_short)


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


def page(
    session: Session, service_id: int, wanted: Filter, *, limit: int, before: int | None
) -> tuple[list[NotificationRow], int | None]:
    """Return a service's notifications as the API lists them, and the row behind which the next page begins."""
    found = find(session, service_id, wanted, Keyset(limit, WINDOW, before))
    rows = [
        _row(one, found.facts[one.id], found.matches.get(one.id, ()), found.waits.get(one.id)) for one in found.rows
    ]
    return rows, found.older


def _row(row: Any, told: Facts, matches: Sequence[Match], waiting: WaitReport | None) -> NotificationRow:
    return NotificationRow(
        notification_id=str(row.uid),
        status=NotificationStatus(row.status),
        mode=Mode(row.mode),
        priority=priority_name(row.priority),
        aggregator_id=row.aggregator_id,
        created_at=row.created_at,
        updated_at=row.updated_at,
        send_at=row.send_at,
        subject=told.subject,
        address=told.address,
        addresses_total=told.addresses,
        error=told.error,
        links=Links(f"/notifications/v1/{row.uid}"),
        waits=waiting,
        matches=[MatchReport(where=one.where, name=one.name, text=one.text) for one in matches],
    )
