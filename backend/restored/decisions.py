"""What is decided about what is held back: it goes out, counts as sent, or is cancelled; some of it or all."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Row, delete, func, select, update
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.batching import flush
from backend.callbacks import tasks as callback_tasks
from backend.db import database as db
from backend.db import events
from backend.db.models.batches import Batch, BatchStatus, Why
from backend.db.models.callbacks import CallbackMessage
from backend.db.models.installation import KEPT, NEVER, HeldKind, HeldRow, Installation
from backend.db.models.notifications import NOT_LEFT, Delivery, DeliveryStatus, Priority
from backend.db.models.spreadsheets import Spreadsheet, Stage
from backend.delivery import tasks as delivery_tasks
from backend.delivery.outcomes import states
from backend.lib import clock
from backend.restored import hold, report, rows
from backend.restored.report import Held
from backend.restored.rows import Wanted

CHUNK = 500


class Decision(StrEnum):
    """What becomes of what is held back."""

    RELEASE = "release"
    MARK_SENT = "mark_sent"
    CANCEL = "cancel"


_WORDS = {
    Decision.RELEASE: "that it goes out",
    Decision.MARK_SENT: "that it counts as sent",
    Decision.CANCEL: "that it is cancelled",
}
_VERBS = {Decision.RELEASE: "released", Decision.MARK_SENT: "marked_sent", Decision.CANCEL: "cancelled"}


class Decided(msgspec.Struct, frozen=True):
    """What was decided about, by kind, and what is still held back."""

    done: Counter[str]
    left: Held


class _Case(msgspec.Struct, frozen=True):
    """One decision about rows of one kind: ``ids`` are the rows, ``due`` is when each was due before."""

    decision: Decision
    by: str
    ids: Sequence[int]

    def due(self, kind: HeldKind, model: Any) -> Any:
        """Return in SQL when a row was due before it was held back."""
        own = (HeldRow.kind == kind.value, HeldRow.row_id == model.id)
        return select(HeldRow.due_at).where(*own).scalar_subquery()

    def detail(self) -> str:
        """Say who has decided what."""
        return f"{self.by} decided {_WORDS[self.decision]}, which was held back since the database was restored."


def keep(by: Actor) -> Counter[str]:
    """Hold back what waits now, of a database that was not recognised by itself as a restored one."""
    with db.current().transaction() as session:
        why = f"{by.name} asked for it."
        held = hold.hold(session, why, claims=False)
        audit.record(session, by, "installation.held", "database", service_id=None, detail=dict(held))
    return held


def decide(decision: Decision, wanted: Wanted, by: Actor) -> Decided:
    """Carry out a decision about what is wanted, a part at a time, and wake those who send; tell what is left.

    When nothing is left the database is held no longer.
    """
    _note(decision, wanted, by)
    done = Counter({kind.value: 0 for kind in HeldKind})
    for kind in HeldKind:
        while some := _decide_some(kind, decision, wanted, by):
            done[kind.value] += some
    with db.current().transaction() as session:
        left = report.held(session)
        if not left.total:
            session.execute(delete(HeldRow))
            session.execute(update(Installation).values(held_at=None, held_why=None))
            left = Held(None, None, [])
    if decision is Decision.RELEASE and done.total():
        delivery_tasks.wake({Priority.NORMAL.value: ()})
        callback_tasks.wake()
    return Decided(done, left)


def _note(decision: Decision, wanted: Wanted, by: Actor) -> None:
    """Write into the audit log what was decided about how many, before it is done."""
    with db.current().transaction() as session:
        meant = report.held(session, wanted)
        counts: Counter[str] = Counter()
        for group in meant.groups:
            counts[group.kind] += group.count
        detail: dict[str, Any] = dict(counts)
        if wanted.older_than is not None:
            detail["older_than_seconds"] = wanted.older_than.total_seconds()
        if wanted.channel is not None:
            detail["channel"] = wanted.channel
        audit.record(session, by, f"held.{_VERBS[decision]}", "database", service_id=wanted.service_id, detail=detail)


def _decide_some(kind: HeldKind, decision: Decision, wanted: Wanted, by: Actor) -> int:
    with db.current().transaction() as session:
        found = rows.still_held(kind).subquery()
        meant = select(found.c.held_id, found.c.row_id).where(wanted.among(found)).order_by(found.c.held_id)
        some = session.execute(meant.limit(CHUNK)).all()
        if some:
            _APPLY[kind](session, _Case(decision, by.name, [row.row_id for row in some]))
            session.execute(
                delete(HeldRow)
                .where(HeldRow.id.in_([row.held_id for row in some]))
                .execution_options(synchronize_session=False)
            )
    return len(some)


def _change(
    session: Session, model: Any, only: ColumnElement[bool], values: dict[str, Any], *back: Any
) -> Sequence[Row[Any]]:
    statement = update(model).where(only).values(**values).returning(*back)
    return session.execute(statement.execution_options(synchronize_session=False)).all()


def _deliveries(session: Session, case: _Case) -> None:
    now = clock.now()
    values: dict[str, Any] = {"due_at": case.due(HeldKind.DELIVERY, Delivery)}
    match case.decision:
        case Decision.RELEASE:
            values |= {"requeued_at": now}  # its day of tries begins now
        case Decision.MARK_SENT:
            values |= {"status": DeliveryStatus.SENT.value, "sent_at": now, "error": None, "doubt": None}
        case Decision.CANCEL:
            values |= {"status": DeliveryStatus.CANCELLED.value, "doubt": None}
    waiting = Delivery.status.in_([status.value for status in NOT_LEFT])
    only = Delivery.id.in_(case.ids) & waiting & (Delivery.due_at == NEVER)
    changed = _change(session, Delivery, only, values, Delivery.id, Delivery.notification_id, Delivery.batch_id)
    _tell(session, case, [(row.notification_id, row.batch_id, row.id) for row in changed])
    states.refresh_batches(session, {row.batch_id: None for row in changed if row.batch_id is not None})
    states.refresh(session, {row.notification_id for row in changed if row.notification_id is not None})


def _tell(session: Session, case: _Case, whose: Sequence[tuple[int | None, int | None, int | None]]) -> None:
    own = sorted(whose, key=lambda one: one[2] or one[1] or 0)
    told = ((delivery, notification, batch) for notification, batch, delivery in own)
    events.write(session, events.of_deliveries("decided", case.detail(), told))


def _batches(session: Session, case: _Case) -> None:
    """Let batches go on, which are due at once then; those that count as sent are dispatched to nobody."""
    _tell(session, case, [(None, batch_id, None) for batch_id in case.ids])
    only = Batch.id.in_(case.ids) & (Batch.status == BatchStatus.CLOSED.value)
    if case.decision is Decision.CANCEL:
        now = clock.now()
        gone = {"status": BatchStatus.CANCELLED.value, "held": False, "why": Why.DEMAND.value, "closed_at": now}
        states.follow(session, [row.id for row in _change(session, Batch, only, gone, Batch.id)])
        return
    kept = select(HeldRow.row_id).where(HeldRow.kind == HeldKind.BATCH.value, HeldRow.was == KEPT)
    goes = only if case.decision is Decision.MARK_SENT else only & Batch.id.not_in(kept)
    released = _change(session, Batch, goes, {"held": False}, Batch.id)
    if case.decision is Decision.MARK_SENT:
        for row in released:
            _as_sent(session, row.id)


def _as_sent(session: Session, batch_id: int) -> None:
    """Dispatch a batch and mark its messages at once, in one transaction: so its members and the ledger follow."""
    session.execute(delete(HeldRow).where(HeldRow.kind == HeldKind.BATCH.value, HeldRow.row_id == batch_id))
    flushed = flush.dispatch(session, batch_id, demanded=True)
    if flushed is not None and flushed.error is None:
        queued = (Delivery.batch_id == batch_id) & (Delivery.status == DeliveryStatus.QUEUED.value)
        values = {"status": DeliveryStatus.SENT.value, "sent_at": clock.now()}
        _change(session, Delivery, queued, values, Delivery.id)
        states.refresh_batches(session, {batch_id: None})


def _callbacks(session: Session, case: _Case) -> None:
    values: dict[str, Any] = {"due_at": case.due(HeldKind.CALLBACK, CallbackMessage)}
    match case.decision:
        case Decision.MARK_SENT:
            values |= {"status": "DELIVERED"}
        case Decision.CANCEL:
            values |= {"status": "FAILED", "last_error": case.detail()}
    pending = (CallbackMessage.status == "PENDING") & (CallbackMessage.due_at == NEVER)
    _change(session, CallbackMessage, CallbackMessage.id.in_(case.ids) & pending, values, CallbackMessage.id)


def _spreadsheets(session: Session, case: _Case) -> None:
    """Let spreadsheets go on; the rows of one that does not have been sent, or never are."""
    now: datetime = clock.now()
    values: dict[str, Any] = {"due_at": func.coalesce(case.due(HeldKind.SPREADSHEET, Spreadsheet), now), "note": None}
    match case.decision:
        case Decision.MARK_SENT:
            values |= {"stage": Stage.DONE.value, "changed_at": now, "note": case.detail()}
        case Decision.CANCEL:
            values |= {"stage": Stage.STOPPED.value, "changed_at": now, "note": case.detail()}
    _change(session, Spreadsheet, Spreadsheet.id.in_(case.ids) & (Spreadsheet.due_at == NEVER), values, Spreadsheet.id)


_APPLY: dict[HeldKind, Callable[[Session, _Case], None]] = {
    HeldKind.DELIVERY: _deliveries,
    HeldKind.BATCH: _batches,
    HeldKind.CALLBACK: _callbacks,
    HeldKind.SPREADSHEET: _spreadsheets,
}
