"""Jobs as pages and the alpha read them: the list, one with what became of its notifications, its faulty rows."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
from sqlalchemy import Row, Select, func, select
from sqlalchemy.orm import Session

from backend.db.models.jobs import Job, JobSource
from backend.db.models.notifications import Notification, NotificationStatus
from backend.db.models.spreadsheets import Spreadsheet, SpreadsheetFault, Stage
from backend.lib import clock

PAGE_SIZE = 50
FAULTS_A_PAGE = 100
_READ_AT_ONCE = 1000
_ON_THEIR_WAY = (NotificationStatus.DISPATCHED, NotificationStatus.SCHEDULED, NotificationStatus.BUFFERED)
_STILL = {Stage.CHECKING, Stage.SENDING, Stage.AGAIN, Stage.STOPPING}


class JobReport(msgspec.Struct, frozen=True, kw_only=True):
    """A job: where it comes from, how many of its notifications are in each status, and its spreadsheet if it has one.

    ``state`` is one of: ``checking checked unreadable scheduled waiting sending again stopping stopped sent expired``.
    """

    id: int
    name: str
    file_name: str | None
    source: JobSource
    created_at: datetime
    counts: dict[str, int]
    sheet: Spreadsheet | None

    @property
    def total(self) -> int:
        """Count its notifications."""
        return sum(self.counts.values())

    @property
    def on_their_way(self) -> int:
        """Count its notifications that are not finished, those that wait for their turn or in a digest among them."""
        return sum(self.counts.get(status.value, 0) for status in _ON_THEIR_WAY)

    @property
    def failed(self) -> int:
        """Count its notifications of which a message has failed."""
        return sum(
            self.counts.get(status.value, 0) for status in (NotificationStatus.FAILED, NotificationStatus.PARTIAL)
        )

    @property
    def state(self) -> str:
        """Say how far it is."""
        stage = Stage(self.sheet.stage) if self.sheet else Stage.DONE
        if stage is Stage.DONE:
            return "sending" if self.on_their_way else "sent"
        if stage is Stage.SENDING and self.sheet and self.sheet.due_at > clock.now():
            return "waiting" if self.sheet.note else "scheduled"
        return stage.value.lower()

    @property
    def moving(self) -> bool:
        """Tell whether it changes by itself within moments."""
        leaving = bool(self.counts.get(NotificationStatus.DISPATCHED.value))
        return leaving or (self.sheet is not None and self.sheet.stage in _STILL)


def page(session: Session, service_id: int, before: int | None) -> tuple[list[JobReport], int | None]:
    """Return a service's jobs behind ``before``, newest first, and where the next page begins."""
    wanted = _wanted(service_id).order_by(Job.id.desc()).limit(PAGE_SIZE + 1)
    found = session.execute(wanted if before is None else wanted.where(Job.id < before)).all()
    shown = found[:PAGE_SIZE]
    more = shown[-1][0].id if len(found) > PAGE_SIZE else None
    return _reports(session, shown), more


def one(session: Session, service_id: int, job_id: int) -> JobReport | None:
    """Return one job of the service."""
    found = _reports(session, session.execute(_wanted(service_id).where(Job.id == job_id)).all())
    return found[0] if found else None


def _wanted(service_id: int) -> Select[Job, Spreadsheet | None]:
    joined = select(Job, Spreadsheet).outerjoin(Spreadsheet, Spreadsheet.job_id == Job.id)
    return joined.where(Job.service_id == service_id)


def _reports(session: Session, rows: Sequence[Row[Job, Spreadsheet | None]]) -> list[JobReport]:
    counts = _counts(session, [job.id for job, _ in rows])
    return [
        JobReport(
            id=job.id,
            name=job.name,
            file_name=job.file_name,
            source=JobSource(job.source),
            created_at=job.created_at,
            counts=counts[job.id],
            sheet=sheet,
        )
        for job, sheet in rows
    ]


def _counts(session: Session, job_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """Count by the index of jobs and statuses alone, without visiting the notifications."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    wanted = select(Notification.job_id, Notification.status, func.count()).where(Notification.job_id.in_(job_ids))
    if job_ids:
        for job_id, status, count in session.execute(wanted.group_by(Notification.job_id, Notification.status)):
            found[job_id or 0][status] = count
    return found


class FaultyRow(msgspec.Struct, frozen=True):
    """One thing that keeps a row from being sent; ``id`` is where a page ends."""

    id: int
    row: int
    column: str
    reason: str


def faults(
    session: Session, job_id: int, after: tuple[int, int] = (0, 0), limit: int = FAULTS_A_PAGE
) -> list[FaultyRow]:
    """Return the faults of a job's rows, in the order of the file, behind one of this row number and id."""
    row, identity = after
    table = SpreadsheetFault
    wanted = select(table).where(
        table.job_id == job_id, (table.row_number > row) | ((table.row_number == row) & (table.id > identity))
    )
    found = session.scalars(wanted.order_by(table.row_number, table.id).limit(limit))
    return [FaultyRow(one.id, one.row_number, one.column_name, one.reason) for one in found]


def all_faults(session: Session, job_id: int) -> Iterator[FaultyRow]:
    """Yield every fault of a job's rows, a few at a time in memory."""
    after = (0, 0)
    while some := faults(session, job_id, after, _READ_AT_ONCE):
        yield from some
        session.expunge_all()
        after = (some[-1].row, some[-1].id)


def create(session: Session, service_id: int, name: str, file_name: str | None) -> Job:
    """Make a job without notifications."""
    job = Job(service_id=service_id, source=JobSource.ALPHA.value, name=name, file_name=file_name)
    session.add(job)
    session.flush()
    return job


def by_id(session: Session, job_id: int) -> Job | None:
    """Find a job by number."""
    return session.get(Job, job_id)


def of_service(session: Session, service_id: int) -> Sequence[Job]:
    """List a service's jobs, newest first."""
    wanted = select(Job).where(Job.service_id == service_id).order_by(Job.created_at.desc(), Job.id.desc())
    return session.scalars(wanted).all()
