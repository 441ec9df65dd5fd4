"""The lists of jobs as they are exported: all jobs of a service, the messages of one, its faulty rows."""

from collections.abc import Collection, Iterator, Mapping
from uuid import UUID

from sqlalchemy import select

from backend.channels.addresses import masked
from backend.db import database as db
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.jobs import Job
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.spreadsheets import Spreadsheet
from backend.delivery.content import addressee
from backend.jobs import queries
from backend.lib import clock, ids
from backend.lib.tables import Cell
from backend.reports.exports import Table, paged, table

# So many rows are read at once, each time by a short transaction of its own.
_AT_ONCE = 500


def listed(service_id: int) -> Table:
    """Give a service's jobs, the newest first."""
    rows = paged(lambda session, before: queries.page(session, service_id, before))
    return table("id name file_name source state total failed sheet.template sheet.created_by created_at", rows)


def results(service_id: int, job_id: int) -> Table:
    """Give a line for each message of a job: the row it was made of, whom it went to, and what became of it.

    ``row`` is counted as spreadsheet programs count, and empty for a job without a spreadsheet.
    """
    columns = ("row", "notification_id", "recipient", "channel", "address", "status", "attempts", "error", "sent_at")
    return Table((*columns, "delivered_at"), _results(service_id, job_id))


def _results(service_id: int, job_id: int) -> Iterator[tuple[Cell, ...]]:
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
        yield from _gathered(some, {one.notification_id for one in found}, numbers)
        if len(some) < _AT_ONCE:
            return
        last = max(some)


def _gathered(
    some: Mapping[int, UUID], sent: Collection[int | None], numbers: "_Rows | None"
) -> Iterator[tuple[Cell, ...]]:
    """Give a line for each membership in a digest, whose message is not one row's alone."""
    with db.current().read() as session:
        wanted = (
            select(Notification.id, Notification.status, BatchMember.recipient, Batch.type, Batch.error, Batch.address)
            .join(BatchMember, BatchMember.notification_id == Notification.id)
            .join(Batch, Batch.id == BatchMember.batch_id)
            .where(Notification.id.in_([one for one in some if one not in sent]))
        )
        found = session.execute(wanted.order_by(Notification.id, BatchMember.id)).all()
    for one in found:
        uid = some[one.id]
        row = numbers.of(uid) if numbers else ""
        address = masked(one.type, one.address) if one.address is not None else ""
        name = addressee.shown(one.type, one.recipient, one.address)
        yield row, str(uid), name, one.type, address, one.status, "", one.error or "", "", ""


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
        for one in queries.all_faults(session, job_id):
            yield one.row, one.column, one.reason
