"""Reading the audit log: filtered, newest first, in pages that do not slow down with their depth."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

import msgspec
from sqlalchemy import ColumnElement, ScalarSelect, func, select
from sqlalchemy.orm import Session

from backend.db.models.audit import AuditEntry

PAGE_LENGTH = 50
_EXPORT_CHUNK = 500


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries are wanted: of a service (None: of every service and the installation), and by what is set.

    ``actor`` is part of a name, ``action`` a whole one such as ``recipient.changed``; the days are in UTC, both
    included.
    """

    service_id: int | None
    actor: str = ""
    action: str = ""
    first_day: date | None = None
    last_day: date | None = None


class Page(msgspec.Struct, frozen=True):
    """Entries, newest first, with the ids from which the neighbouring pages go on."""

    rows: Sequence[AuditEntry]
    newer: int | None
    older: int | None


def page(session: Session, wanted: Filter, *, before: int | None = None, after: int | None = None) -> Page:
    """Read one page: the newest entries, those ``before`` an id, or those next ``after`` one."""
    found = select(AuditEntry).where(*_conditions(wanted)).limit(PAGE_LENGTH + 1)
    if after is not None:
        found = found.where(AuditEntry.id > after).order_by(AuditEntry.id)
    else:
        found = found.order_by(AuditEntry.id.desc())
        if before is not None:
            found = found.where(AuditEntry.id < before)
    rows = list(session.scalars(found))
    more, rows = len(rows) > PAGE_LENGTH, rows[:PAGE_LENGTH]
    if after is not None:
        rows.reverse()
        return Page(rows, rows[0].id if more else None, rows[-1].id if rows else None)
    newer = rows[0].id if rows and before is not None else None
    return Page(rows, newer, rows[-1].id if more else None)


def everything(session: Session, wanted: Filter) -> Iterator[AuditEntry]:
    """Read all entries of a filter, newest first, some at a time."""
    found = select(AuditEntry).where(*_conditions(wanted)).order_by(AuditEntry.id.desc())
    yield from session.scalars(found.execution_options(yield_per=_EXPORT_CHUNK))


def actions(session: Session, service_id: int | None) -> list[str]:
    """List the actions that occur, for a choice among them.

    Of each action one entry is looked at, by the indexes that begin with it, however many entries there are.
    """
    first = select(_next_action(service_id, None).label("action")).cte("actions", recursive=True)
    step = _next_action(service_id, first.c.action)
    walk = first.union_all(select(step).where(first.c.action.is_not(None)))
    return list(session.scalars(select(walk.c.action).where(walk.c.action.is_not(None))))


def _next_action(service_id: int | None, after: ColumnElement[str] | None) -> ScalarSelect[str]:
    """Return the first action in order, or the next one after another."""
    found = select(AuditEntry.action).order_by(AuditEntry.action).limit(1)
    if service_id is not None:
        found = found.where(AuditEntry.service_id == service_id)
    return (found if after is None else found.where(AuditEntry.action > after)).scalar_subquery()


def _conditions(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    if wanted.service_id is not None:
        yield AuditEntry.service_id == wanted.service_id
    if wanted.actor:
        yield func.lower(AuditEntry.actor).contains(wanted.actor.lower(), autoescape=True)
    if wanted.action:
        yield AuditEntry.action == wanted.action
    if wanted.first_day is not None:
        yield AuditEntry.at >= _midnight(wanted.first_day)
    if wanted.last_day is not None:
        yield AuditEntry.at < _midnight(wanted.last_day + timedelta(days=1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=UTC)
