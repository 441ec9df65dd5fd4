"""What people do with spreadsheets: upload one, send it now or later, stop it, send again what failed."""

from datetime import datetime, timedelta
from typing import IO, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.channels.base import Channel
from backend.db import database as db
from backend.db.models.jobs import Job, JobSource
from backend.db.models.spreadsheets import Spreadsheet, Stage
from backend.intake import modes
from backend.jobs import columns, files, rows, table, tasks
from backend.lib import clock, ids
from backend.lib.problems import Problem
from backend.registry import lookup
from backend.registry.lookup import FoundTemplate

FURTHEST = timedelta(days=7)
MAX_NAME = 160
_MAX_FILE_NAME = 255


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """What a person chose; the name may be empty, and then it is the file's."""

    name: str
    file_name: str
    template: FoundTemplate
    channel: Channel
    subject: str | None


def template_of(service_id: int, identifier: str) -> FoundTemplate:
    """Return the published version of one of the service's templates.

    Raises:
        Problem: ``unknown_template``.
    """
    with db.current().read() as session:
        found = lookup.templates(session, service_id, {identifier}).get(identifier)
    if found is None:
        raise Problem("unknown_template", "Choose one of the templates of this service.")
    return found


def check_channel(channel: Channel) -> None:
    """See that a channel is not switched off.

    Raises:
        Problem: ``invalid_value``.
    """
    if not modes.is_on(channel):
        raise Problem("invalid_value", "The operators of this installation have switched this channel off.")


def upload(service_id: int, given: Upload, source: IO[bytes], by: Actor) -> int:
    """Keep a file, and have it checked; return the number of its job.

    Raises:
        Problem: ``invalid_value`` if the file cannot be used, with one sentence.
    """
    uid = ids.random_id()
    size = files.keep(source, uid)
    try:
        delimiter, first = table.header(files.opened(uid))
        assigned = columns.assign(first.cells, given.channel, rows.fields_of(given.template))
        values: dict[str, Any] = {
            "uid": uid,
            "size": size,
            "delimiter": delimiter,
            "columns": assigned.names,
            "recipient_column": assigned.recipient,
            "to_groups": assigned.to_groups,
            "position": first.end,
            "next_row": first.number + 1,
        }
        job_id = _store(service_id, given, values, by)
    except table.Unreadable as error:
        files.give_up(uid)
        raise Problem("invalid_value", str(error)) from None
    except BaseException:
        files.give_up(uid)
        raise
    tasks.wake(job_id)
    return job_id


def _store(service_id: int, given: Upload, values: dict[str, Any], by: Actor) -> int:
    file_name = given.file_name.replace("\\", "/").rpartition("/")[2][-_MAX_FILE_NAME:]
    shown = "".join(letter for letter in file_name if letter.isprintable()) or "spreadsheet.csv"
    name = (given.name.strip() or shown)[:MAX_NAME]
    with db.current().transaction() as session:
        job = Job(service_id=service_id, source=JobSource.SPREADSHEET.value, name=name, file_name=shown)
        session.add(job)
        session.flush()
        sheet = Spreadsheet(
            job_id=job.id,
            stage=Stage.CHECKING.value,
            created_by=by.name,
            channel=given.channel.value,
            template=given.template.identifier,
            template_version_id=given.template.version_id,
            subject=given.subject,
            **values,
        )
        session.add(sheet)
        detail = {"file": shown, "template": given.template.identifier, "channel": given.channel.value}
        _write_down(session, job, by, "uploaded", detail)
        return job.id


def send(service_id: int, job_id: int, at: datetime | None, by: Actor) -> None:
    """Send the rows that are right, now or at a moment at most seven days ahead.

    Raises:
        Problem: ``not_found``, ``job_moved_on`` if it cannot be sent (any more), ``invalid_value`` for the moment.
    """
    now = clock.now()
    if at is not None and not now <= at <= now + FURTHEST:
        raise Problem("invalid_value", "Choose a time from now to seven days ahead.")
    with db.current().transaction() as session:
        job, row = _find(session, service_id, job_id)
        if row.stage != Stage.CHECKED or not row.good_rows:
            raise Problem("job_moved_on", "This job cannot be sent: it is not checked, has no good row or was sent.")
        try:
            first = table.header(files.opened(row.uid))[1]
        except FileNotFoundError:
            raise Problem("job_moved_on", "The file is not there any more. Upload it again.") from None
        row.stage, row.due_at, row.position, row.next_row = Stage.SENDING.value, at or now, first.end, first.number + 1
        row.changed_at, row.note = now, None
        _write_down(session, job, by, "sent", {"rows": row.good_rows, "at": clock.iso(row.due_at)})
    tasks.wake(job_id)


def stop(service_id: int, job_id: int, by: Actor) -> None:
    """Send nothing more: no further row is taken, and what waits is cancelled. What was handed over stays so.

    Raises:
        Problem: ``not_found``, or ``job_moved_on`` if nothing is left to stop.
    """
    with db.current().transaction() as session:
        job, row = _find(session, service_id, job_id)
        if row.stage not in (Stage.SENDING, Stage.AGAIN, Stage.DONE):
            raise Problem("job_moved_on", "There is nothing to stop: the job is not on its way.")
        row.stage, row.due_at, row.changed_at = Stage.STOPPING.value, clock.now(), clock.now()
        row.asked_by, row.note = by.name, None
        _write_down(session, job, by, "stopped", {"rows": row.taken_rows})
    tasks.wake(job_id)


def again(service_id: int, job_id: int, by: Actor) -> None:
    """Queue anew what has failed, and nothing else.

    Raises:
        Problem: ``not_found``, or ``job_moved_on`` while the job is still being sent or stopped.
    """
    with db.current().transaction() as session:
        job, row = _find(session, service_id, job_id)
        if row.stage not in (Stage.DONE, Stage.STOPPED):
            raise Problem("job_moved_on", "What failed can be sent again when every row has had its first try.")
        now = clock.now()
        row.stage, row.due_at, row.asked_at, row.changed_at = Stage.AGAIN.value, now, now, now
        row.asked_by, row.note = by.name, None
        _write_down(session, job, by, "failed_sent_again", {})
    tasks.wake(job_id)


def _find(session: Session, service_id: int, job_id: int) -> tuple[Job, Spreadsheet]:
    found = session.execute(
        select(Job, Spreadsheet)
        .join(Spreadsheet, Spreadsheet.job_id == Job.id)
        .where(Job.id == job_id, Job.service_id == service_id)
        .with_for_update(of=Spreadsheet)
    ).one_or_none()
    if found is None:
        raise Problem("not_found", "This service has no spreadsheet job of this number.")
    return found[0], found[1]


def _write_down(session: Session, job: Job, by: Actor, verb: str, detail: dict[str, Any]) -> None:
    audit.record(session, by, f"job.{verb}", job.name, service_id=job.service_id, detail={"job": job.id, **detail})
