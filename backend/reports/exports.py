"""Lists as they are exported: all rows with the list's filters, read page by page, so that nobody waits for them."""

import json
from collections.abc import Collection, Iterator
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import audit_log as log
from backend.channels.addresses import masked
from backend.db import database as db
from backend.db.models.jobs import Job
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.spreadsheets import Spreadsheet
from backend.lib import clock, ids
from backend.lib.tables import Cell
from backend.registry import csv_recipients, suppressions
from backend.reports import jobs, listing
from backend.reports.listing import Line
from backend.reports.notifications import Filter

# So many rows are read at once, each time by a short transaction of its own.
_AT_ONCE = 500


class Table(msgspec.Struct, frozen=True):
    """The columns of a list, and its rows as they are asked for."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Cell, ...]]


def notifications(service_id: int, wanted: Filter) -> Table:
    """Give a service's notifications, the newest first; a line each, with what it asks for and what failed of it."""
    columns = (
        "notification_id",
        "status",
        "priority",
        "channels",
        "subject",
        "template_id",
        "recipients",
        "addresses",
        "why_failed",
        "aggregator_id",
        "created_at",
    )
    return Table(columns, _notifications(service_id, wanted))


def _notifications(service_id: int, wanted: Filter) -> Iterator[tuple[Cell, ...]]:
    before = None
    while True:
        with db.current().read() as session:
            found = listing.page(session, service_id, wanted, before=before, size=_AT_ONCE)
            addresses, errors = _beside(session, [line.uid for line in found.lines])
        for line in found.lines:
            yield _line(line, addresses.get(line.uid, []), errors.get(line.uid, []))
        if found.older is None:
            return
        before = found.older


def _beside(session: Session, uids: Collection[UUID]) -> tuple[dict[UUID, list[str]], dict[UUID, list[str]]]:
    """Read the addresses of notifications, as they may be shown, and why their messages or they themselves failed."""
    addresses: dict[UUID, list[str]] = {}
    errors: dict[UUID, list[str]] = {}
    columns = (Notification.uid, Delivery.type, Delivery.address, Delivery.error)
    own = select(*columns).join(Delivery, Delivery.notification_id == Notification.id)
    for uid, kind, address, error in session.execute(own.where(Notification.uid.in_(uids)).order_by(Delivery.id)):
        addresses.setdefault(uid, []).append(masked(kind, address))
        if error:
            errors.setdefault(uid, []).append(error)
    refused = select(Notification.uid, Notification.problem).where(
        Notification.uid.in_(uids), Notification.problem.is_not(None)
    )
    errors |= {uid: [str(problem["detail"])] for uid, problem in session.execute(refused) if problem}
    return addresses, errors


def _line(line: Line, addresses: list[str], errors: list[str]) -> tuple[Cell, ...]:
    first = line.parts[0] if line.parts else None
    return (
        str(line.uid),
        line.status,
        line.priority,
        " ".join(dict.fromkeys(part.type for part in line.parts)),
        (first.subject or "") if first else "",
        first.template_id if first else "",
        " ".join(dict.fromkeys(name for part in line.parts for name in part.recipient)),
        " ".join(dict.fromkeys(addresses)),
        " | ".join(dict.fromkeys(errors)),
        line.aggregator_id or "",
        clock.iso(line.created_at),
    )


def suppressed(service_id: int) -> Table:
    """Give a service's suppressed addresses, the latest first."""
    return Table(("channel", "address", "reason", "detail", "since"), _suppressed(service_id))


def _suppressed(service_id: int) -> Iterator[tuple[Cell, ...]]:
    after = None
    while True:
        with db.current().read() as session:
            found = suppressions.page(session, service_id, _AT_ONCE, after)
        for _, one in found:
            yield one.channel.value, one.address, one.reason, one.detail, clock.iso(one.since)
        if len(found) < _AT_ONCE:
            return
        after = found[-1][0]


def audit_log(wanted: log.Filter) -> Table:
    """Give the entries of the audit log that fit, the newest first."""
    return Table(("at", "who", "kind", "action", "subject", "detail"), _audit_log(wanted))


def _audit_log(wanted: log.Filter) -> Iterator[tuple[Cell, ...]]:
    with db.current().read() as session:
        for one in log.everything(session, wanted):
            detail = json.dumps(one.detail, ensure_ascii=False) if one.detail else ""
            yield clock.iso(one.at), one.actor, one.actor_kind, one.action, one.subject, detail


def job_results(service_id: int, job_id: int) -> Table:
    """Give a line for each message of a job: the row it was made of, whom it went to, and what became of it.

    ``row`` is counted as spreadsheet programs count, and empty for a job without a spreadsheet.
    """
    columns = ("row", "notification_id", "recipient", "channel", "address", "status", "attempts", "error", "sent_at")
    return Table((*columns, "delivered_at"), _job_results(service_id, job_id))


def _job_results(service_id: int, job_id: int) -> Iterator[tuple[Cell, ...]]:
    with db.current().read() as session:
        own = select(Spreadsheet.uid, Spreadsheet.next_row).join(Job, Job.id == Spreadsheet.job_id)
        sheet = session.execute(own.where(Job.id == job_id, Job.service_id == service_id)).one_or_none()
    numbers = _Rows(sheet.uid, sheet.next_row) if sheet else None
    last = 0
    while True:
        with db.current().read() as session:
            wanted = (
                select(Notification.id, Notification.uid)
                .where(Notification.job_id == job_id, Notification.service_id == service_id, Notification.id > last)
                .order_by(Notification.id)
                .limit(_AT_ONCE)
            )
            some = {row.id: row.uid for row in session.execute(wanted)}
            deliveries = select(Delivery).where(Delivery.notification_id.in_(some)).order_by(Delivery.notification_id)
            found = session.scalars(deliveries.order_by(Delivery.id)).all()
        for one in found:
            uid = some[one.notification_id or 0]
            yield (
                numbers.of(uid) if numbers else "",
                str(uid),
                " ".join(one.recipients),
                one.type,
                masked(one.type, one.address),
                one.status,
                one.attempts,
                one.error or "",
                clock.iso(one.sent_at) if one.sent_at else "",
                clock.iso(one.delivered_at) if one.delivered_at else "",
            )
        if len(some) < _AT_ONCE:
            return
        last = max(some)


class _Rows:
    """Finds which row of a spreadsheet a notification was made of: its id is derived from that row's number."""

    def __init__(self, uid: UUID, next_row: int) -> None:
        self._uid = uid
        self._next = 1
        self._end = next_row
        self._ahead: dict[UUID, int] = {}
        self._last: tuple[UUID, Cell] | None = None

    def of(self, uid: UUID) -> Cell:
        """Return the row's number; they are asked for in order, so few are looked at ahead."""
        if self._last is None or self._last[0] != uid:
            while uid not in self._ahead and self._next <= self._end:
                self._ahead[ids.job_notification_id(self._uid, self._next)] = self._next
                self._next += 1
            self._last = (uid, self._ahead.pop(uid, ""))
        return self._last[1]


def faulty_rows(job_id: int) -> Table:
    """Give the faulty rows of a job."""
    return Table(("row", "column", "reason"), _faulty_rows(job_id))


def _faulty_rows(job_id: int) -> Iterator[tuple[Cell, ...]]:
    with db.current().read() as session:
        for one in jobs.all_faults(session, job_id):
            yield one.row, one.column, one.reason


def recipients(service_id: int) -> Table:
    """Give a service's recipients, a line for each address, in the columns in which they can be imported."""
    return Table(csv_recipients.COLUMNS, _recipients(service_id))


def _recipients(service_id: int) -> Iterator[tuple[Cell, ...]]:
    with db.current().read() as session:
        yield from csv_recipients.rows(session, service_id)
