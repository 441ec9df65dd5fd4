"""The steps of a worker: check some rows, send some, cancel some, queue some anew; each is one short transaction.

What a step has done and how far it came are committed together, so that whoever goes on after it, in this process or
in another one, neither leaves out nor repeats anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import cast

import msgspec
from sqlalchemy import ColumnElement, Select, Table, or_, select, update
from sqlalchemy.orm import Session

from backend.accounts import reach
from backend.batching import flush, manage
from backend.channels.addresses import masked
from backend.db import database as db
from backend.db import events
from backend.db.driver import Insert
from backend.db.leases import LostError
from backend.db.models.accounts import Mode
from backend.db.models.batches import Batch, BatchMember, BatchStatus
from backend.db.models.jobs import Job
from backend.db.models.notifications import (
    NOT_LEFT,
    Delivery,
    DeliveryStatus,
    Notification,
    NotificationStatus,
    Priority,
)
from backend.db.models.spreadsheets import Spreadsheet, SpreadsheetFault, Stage
from backend.delivery import again
from backend.delivery.outcomes import resend
from backend.intake import digests, modes, ready
from backend.intake import lookup as intake_lookup
from backend.intake.held import Tried
from backend.intake.quotas import Meter
from backend.intake.ready import ReadyMessage, Stored
from backend.intake.validate import ServiceState
from backend.jobs import claims, files, rows, table
from backend.jobs.rows import Row, RowFault, Sheet
from backend.jobs.table import Record
from backend.lib import clock, ids, metrics
from backend.registry import lookup

SENT_AT_ONCE = 400
CHANGED_AT_ONCE = 500
TAKEN_OUT_AT_ONCE = 50
DIGESTS_AT_ONCE = 20
_PAUSE = timedelta(seconds=30)
_A_MOMENT = timedelta(seconds=1)
_INSERT_FAULTS = Insert(cast("Table", SpreadsheetFault.__table__), ("job_id", "row_number", "column_name", "reason"))


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A spreadsheet claimed by a worker, claimed under ``token``, at one stage.

    ``records`` are the rows that are still to be looked at.
    """

    job_id: int
    service_id: int
    token: str
    stage: Stage
    row: Spreadsheet
    sheet: Sheet
    records: Iterator[Record]


def begin(job_id: int, token: str) -> Task:
    """Look at what has to be done.

    Raises:
        LostError: if the spreadsheet is not this worker's.
    """
    with db.current().read() as session:
        row = session.scalar(select(Spreadsheet).where(Spreadsheet.job_id == job_id, Spreadsheet.claimed_by == token))
        if row is None:
            raise LostError
        sheet = rows.load(session, row)
        service_id = session.get_one(Job, job_id).service_id
    return Task(
        job_id=job_id,
        service_id=service_id,
        token=token,
        stage=Stage(row.stage),
        row=row,
        sheet=sheet,
        records=_records(row),
    )


def _records(row: Spreadsheet) -> Iterator[Record]:
    """Open the file when the first row is asked for: stopping and sending again need none."""
    yield from table.records(files.opened(row.uid), row.delimiter, row.position, row.next_row)


def step(task: Task) -> bool:
    """Do a part of the work; tell whether there is more of the same at once.

    Raises:
        LostError: if a person has decided otherwise, or another worker has it by now. Nothing was written down.
    """
    return _STEPS[task.stage](task)


def _check(task: Task) -> bool:
    try:
        records = list(islice(task.records, rows.at_once(task.sheet)))
    except table.Unreadable as error:
        _end(task, Stage.UNREADABLE, str(error))
        return False
    if not records:
        _end_of_check(task)
        return False
    good, faults = _validated(task, records)
    faults += rows.try_out(task.sheet, good)
    bad = {fault.row for fault in faults}
    with db.current().transaction() as session:
        row = claims.held(session, task.job_id, task.token, Stage.CHECKING)
        _write_faults(session, task, faults)
        row.good_rows += sum(one.number not in bad for one in good)
        row.faulty_rows += len(bad)
        _advance(row, records[-1])
    return True


def _end_of_check(task: Task) -> None:
    with db.current().transaction() as session:
        row = claims.held(session, task.job_id, task.token, Stage.CHECKING)
        row.stage, row.changed_at = Stage.CHECKED.value, clock.now()
        if not row.good_rows and not row.faulty_rows:
            row.stage, row.note = Stage.UNREADABLE.value, "The file has no rows beneath the one that names its columns."


def _validated(task: Task, records: Sequence[Record]) -> tuple[list[Row], list[RowFault]]:
    with db.current().read() as session:
        groups = lookup.readers(session, task.service_id, rows.groups_of(task.sheet, records))
        service = intake_lookup.services(session, {task.service_id})[task.service_id]
        team = None if service.live else reach.of_team(session, task.service_id)
    good: list[Row] = []
    faults: list[RowFault] = []
    for record in records:
        if record.blank:
            continue
        found = rows.read(task.sheet, record, groups)
        if isinstance(found, Row) and team is not None:
            found = rows.within(task.sheet, found, team)
        if isinstance(found, Row):
            good.append(found)
        else:
            faults += found
    return good, faults


def _write_faults(session: Session, task: Task, faults: Sequence[RowFault]) -> None:
    found = [
        {"job_id": task.job_id, "row_number": one.row, "column_name": one.column, "reason": one.reason}
        for one in sorted(faults, key=lambda one: one.row)
    ]
    _INSERT_FAULTS.run(session, found)


def _advance(row: Spreadsheet, last: Record) -> None:
    row.position, row.next_row, row.note, row.changed_at = last.end, last.number + 1, None, clock.now()


def _end(task: Task, stage: Stage, note: str | None = None) -> None:
    with db.current().transaction() as session:
        row = claims.held(session, task.job_id, task.token, task.stage)
        row.stage, row.note, row.changed_at = stage.value, note, clock.now()
    files.drop(task.row.uid)


def _send(task: Task) -> bool:
    with db.current().read() as session:
        service = intake_lookup.services(session, {task.service_id})[task.service_id]
    if not service.active:
        return _rest(task, clock.now() + _PAUSE, "The service is switched off. It goes on when that has changed.")
    if not modes.is_on(task.sheet.channel):
        return _rest(task, clock.now() + _PAUSE, "The operators have switched this channel off. It goes on later.")
    at_once = min(SENT_AT_ONCE, rows.at_once(task.sheet)) if rows.looks_for_equal(task.sheet) else SENT_AT_ONCE
    records = list(islice(task.records, at_once))
    if not records:
        _end(task, Stage.DONE)
        return False
    stored = _stored(task, service, records)
    if stored.count:
        metrics.messages(task.sheet.channel.value, Priority.NORMAL.name).inc(stored.count)
    return stored.refused is None


class _Part(msgspec.Struct, frozen=True):
    """Some rows that are to be sent: what they were found to be, and what the good ones become, by their numbers."""

    records: Sequence[Record]
    good: Sequence[Row]
    faults: Sequence[RowFault]
    messages: Mapping[int, ReadyMessage]


def _stored(task: Task, service: ServiceState, records: Sequence[Record]) -> Stored:
    """Store what rows ask for; those that are to join a digest are tried in it first."""
    (good, faults), mode = _validated(task, records), modes.of_service(live=service.live)
    texts = rows.texts(task.sheet, good) if rows.looks_for_equal(task.sheet) else {}
    messages = {one.number: message_of(task.row, task.sheet, one, mode, texts.get(one.number)) for one in good}
    part = _Part(records, good, faults, messages)

    def store(tried: Tried) -> Stored:
        with db.current().transaction() as session:
            return _store(session, task, part, service.daily_limit, tried)

    return digests.with_digests(store)


def _store(session: Session, task: Task, part: _Part, daily_limit: int, tried: Tried) -> Stored:
    row = claims.held(session, task.job_id, task.token, Stage.SENDING)
    known = _known_faults(session, task.job_id, part.records)
    wanted = [one for one in part.good if one.number not in known]
    meter = Meter(session, {task.service_id: daily_limit})
    stored = ready.accept_each(session, meter, [part.messages[one.number] for one in wanted], tried)
    turned_away = wanted[stored.messages].number if stored.refused else None
    passed = [record for record in part.records if turned_away is None or record.number < turned_away]
    last, column = passed[-1].number if passed else 0, task.sheet.columns[task.sheet.recipient]
    new = [one for one in part.faults if one.row not in known and one.row <= last]
    for one in wanted:
        refused = stored.alone.get(part.messages[one.number].uid)
        new += [RowFault(one.number, column, refused.detail)] if refused is not None else []
    _write_faults(session, task, new)
    changed = {one.row for one in new}
    row.taken_rows += stored.messages - len(stored.alone)
    row.good_rows -= len(changed)
    row.faulty_rows += len(changed)
    if passed:
        _advance(row, passed[-1])
    if stored.refused is not None:
        row.note, row.due_at = _tomorrow(stored.refused.detail), _midnight()
    return stored


def message_of(row: Spreadsheet, sheet: Sheet, one: Row, mode: Mode, text: str | None = None) -> ReadyMessage:
    """Return what a row becomes; ``text`` is what a text message says, where that is asked for."""
    return ReadyMessage(
        uid=ids.job_notification_id(row.uid, one.number),
        service_id=sheet.service_id,
        job_id=row.job_id,
        channel=sheet.channel,
        addresses=one.addresses,
        recipients=(masked(sheet.channel, one.recipient),) if not sheet.to_groups else (one.recipient,),
        template=row.template,
        template_version_id=one.choice.template.version_id,
        fields=one.fields,
        content_type=sheet.content_type,
        subject=row.subject or None,
        mode=mode,
        language=(one.choice.sentence(one.recipient),) if one.choice.missing is not None else (),
        counted_as=one.recipient if sheet.to_groups else one.addresses[0],
        by_itself=True,
        has_group=sheet.to_groups,
        text=text,
    )


def _known_faults(session: Session, job_id: int, records: Sequence[Record]) -> set[int]:
    numbers = SpreadsheetFault.row_number
    own = (SpreadsheetFault.job_id == job_id, numbers.between(records[0].number, records[-1].number))
    return set(session.scalars(select(numbers).where(*own)))


def _tomorrow(detail: str) -> str:
    return f"{detail} The rest is sent from midnight UTC on."


def _midnight() -> datetime:
    return clock.now().replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def _rest(task: Task, until: datetime, note: str) -> bool:
    with db.current().transaction() as session:
        row = claims.held(session, task.job_id, task.token, task.stage)
        row.due_at, row.note = until, note
    return False


def _stop(task: Task) -> bool:
    with db.current().transaction() as session:
        row = claims.held(session, task.job_id, task.token, Stage.STOPPING)
        by = row.asked_by or "somebody"
        changed = _cancel_some(session, task.job_id, by, CHANGED_AT_ONCE)
        changed = changed or _take_some_out(session, task.job_id, by, TAKEN_OUT_AT_ONCE)
        over = not changed and not _is_on_its_way(session, task.job_id)
        if over:
            row.stage, row.note, row.changed_at = Stage.STOPPED.value, None, clock.now()
        elif not changed:  # some are claimed by workers, and may come back to be tried again
            row.due_at = clock.now() + _A_MOMENT
    if over:
        files.drop(task.row.uid)
    return bool(changed)


def _again(task: Task) -> bool:
    with db.current().transaction() as session:
        row = claims.held(session, task.job_id, task.token, Stage.AGAIN)
        since = row.asked_at or clock.now()
        job = session.get_one(Job, task.job_id)
        changed = _send_some_again(session, job, since, row.asked_by or "somebody", CHANGED_AT_ONCE)
        changed = changed or _make_some_digests_again(session, job.id, since)
        if not changed:
            whole = row.taken_rows >= row.good_rows
            row.stage, row.note, row.changed_at = (Stage.DONE if whole else Stage.STOPPED).value, None, clock.now()
    return bool(changed)


def _cancel_some(session: Session, job_id: int, by: str, limit: int) -> int:
    """Cancel up to ``limit`` messages of a job that wait for a try or their turn; return how many, claimed ones not."""
    waits = Delivery.status.in_([one.value for one in NOT_LEFT]) & Delivery.claimed_by.is_(None)
    found = _deliveries(session, job_id, [NotificationStatus.DISPATCHED, NotificationStatus.SCHEDULED], waits, limit)
    told = f"asked for by {by}, of the whole job."
    return again.cancel_deliveries(session, Delivery.id.in_(found) & waits, told) if found else 0


def _take_some_out(session: Session, job_id: int, by: str, limit: int) -> int:
    """Take up to ``limit`` notifications of a job out of the digests that they joined; return how many it were."""
    own = (Notification.job_id == job_id, Notification.status == NotificationStatus.BUFFERED.value)
    found = session.scalars(select(Notification.id).where(*own).order_by(Notification.id).limit(limit)).all()
    taken = [one for one in found if manage.take_out_everywhere(session, one)]
    detail = f"Cancelled and taken out of its batch: asked for by {by}, of the whole job."
    events.write(session, [events.event("cancelled_in_batch", detail, notification_id=one) for one in taken])
    return len(taken)


def _send_some_again(session: Session, job: Job, since: datetime, by: str, limit: int) -> int:
    """Look at up to ``limit`` failed messages of a job that nobody has looked at ``since`` then, and queue them anew.

    They go to the present addresses of their recipients; that of a digest goes once, with all that is in it. Returns
    how many were looked at.
    """
    failed = (Delivery.status == DeliveryStatus.FAILED.value) & Delivery.claimed_by.is_(None)
    not_yet = failed & or_(Delivery.requeued_at.is_(None), Delivery.requeued_at < since)
    ended = [NotificationStatus.FAILED, NotificationStatus.PARTIAL, NotificationStatus.DISPATCHED]
    wanted = _deliveries(session, job.id, ended, not_yet, limit)
    wanted = wanted or _of_digests(session, job.id, not_yet, limit)
    found = resend.failed(session, Delivery.id.in_(wanted))
    asked = f"asked for by {by}, of the whole job."
    resend.queue_anew(session, job.service_id, found, asked, at=max(clock.now(), since))
    return len(found)


def _make_some_digests_again(session: Session, job_id: int, since: datetime) -> int:
    """Dispatch some digests anew that rows of a job joined, and of which no message could be made before ``since``."""
    unmade = (Batch.status == BatchStatus.FAILED.value, flush.unsent(), Batch.dispatched_at < since)
    wanted = select(Batch.id).where(*unmade, Batch.id.in_(_digests(job_id)))
    found = session.scalars(wanted.order_by(Batch.id).limit(DIGESTS_AT_ONCE)).all()
    for batch_id in found:
        flush.dispatch(session, batch_id, demanded=True)
        looked_at = update(Batch).where(Batch.id == batch_id, Batch.dispatched_at < since)
        session.execute(looked_at.values(dispatched_at=since).execution_options(synchronize_session=False))
    return len(found)


def _digests(job_id: int) -> Select[int]:
    """Name the digests in which rows of a job are."""
    members = select(BatchMember.batch_id).join(Notification, Notification.id == BatchMember.notification_id)
    return members.where(Notification.job_id == job_id, BatchMember.removed_at.is_(None))


def _of_digests(session: Session, job_id: int, wanted: ColumnElement[bool], limit: int) -> Sequence[int]:
    own = select(Delivery.id).where(Delivery.batch_id.in_(_digests(job_id)), wanted)
    return session.scalars(own.order_by(Delivery.id).limit(limit)).all()


def _is_on_its_way(session: Session, job_id: int) -> bool:
    """Tell whether anything of a job is still on its way."""
    own = (Notification.job_id == job_id, Notification.status == NotificationStatus.DISPATCHED.value)
    return session.scalar(select(Notification.id).where(*own).limit(1)) is not None


def _deliveries(
    session: Session, job_id: int, within: Sequence[NotificationStatus], wanted: ColumnElement[bool], limit: int
) -> Sequence[int]:
    """Find by the notifications' status first: the index of a job's notifications knows it."""
    statement = (
        select(Delivery.id)
        .join(Notification, Notification.id == Delivery.notification_id)
        .where(Notification.job_id == job_id, Notification.status.in_([one.value for one in within]), wanted)
        .limit(limit)
    )
    return session.scalars(statement).all()


_STEPS = {Stage.CHECKING: _check, Stage.SENDING: _send, Stage.STOPPING: _stop, Stage.AGAIN: _again}
