"""Holding back what a database has waiting: it is due never, until somebody decides."""

from collections import Counter
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    CursorResult,
    and_,
    case,
    delete,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.callbacks import CallbackMessage
from backend.db.models.installation import KEPT, NEVER, HeldKind, HeldRow, Installation
from backend.db.models.notifications import NOT_LEFT, Delivery, DeliveryStatus, Event
from backend.db.models.spreadsheets import Spreadsheet, Stage
from backend.db.statements import one_of
from backend.delivery.outcomes.unknown_outcome import UnknownOutcome
from backend.lib import clock

_DETAIL = "The database was restored: this is held back until the operators decide whether it goes out."
_COLUMNS = ["kind", "row_id", "due_at", "was"]


def hold(session: Session, why: str, *, claims: bool) -> Counter[str]:
    """Hold back everything that waits to leave, and return how much of each kind that is.

    ``claims`` tells that nobody lives whose claims there are, which is so in a restored database: what they held waits
    like everything else. The caller commits.
    """
    if claims:
        _end_claims(session)
    counts = Counter({kind.value: 0 for kind in HeldKind})
    counts[HeldKind.DELIVERY.value] = _deliveries(session)
    counts[HeldKind.BATCH.value] = _batches(session)
    counts[HeldKind.CALLBACK.value] = _callbacks(session)
    counts[HeldKind.SPREADSHEET.value] = _spreadsheets(session)
    if counts.total():
        first = func.coalesce(Installation.held_at, clock.now())
        session.execute(update(Installation).values(held_at=first, held_why=why))
    return counts


def _end_claims(session: Session) -> None:
    """Put back what workers held when the backup was made; what waits for a person to decide goes on waiting."""
    was = case((Delivery.attempts > 0, DeliveryStatus.RETRYING.value), else_=DeliveryStatus.QUEUED.value)
    in_flight = and_(
        Delivery.claimed_by.is_not(None),
        Delivery.status == DeliveryStatus.SENDING.value,
        or_(Delivery.doubt.is_(None), Delivery.doubt != UnknownOutcome.PERSON.value),
    )
    _run(session, update(Delivery).where(in_flight).values(status=was, claimed_by=None))
    pending = and_(CallbackMessage.claimed_by.is_not(None), CallbackMessage.status == "PENDING")
    _run(session, update(CallbackMessage).where(pending).values(claimed_by=None))
    _run(session, update(Spreadsheet).where(Spreadsheet.claimed_by.is_not(None)).values(claimed_by=None))


def _run(session: Session, statement: Any) -> int:
    done = session.execute(statement.execution_options(synchronize_session=False, preserve_rowcount=True))
    return cast("CursorResult[Any]", done).rowcount


def _note(session: Session, kind: HeldKind, due_at: Any, waits: ColumnElement[bool], was: Any = None) -> int:
    """Write down what waits; then only what is written down is changed, whoever adds more meanwhile."""
    model = due_at.class_
    clear = delete(HeldRow).where(HeldRow.kind == kind.value, HeldRow.row_id.in_(select(model.id).where(waits)))
    _run(session, clear)
    found = select(literal(kind.value), model.id, due_at, null() if was is None else was).where(waits)
    return _run(session, insert(HeldRow).from_select(_COLUMNS, found))


def noted(kind: HeldKind, model: Any) -> ColumnElement[bool]:
    """Tell which rows are written down as held back."""
    found: ColumnElement[bool] = model.id.in_(select(HeldRow.row_id).where(HeldRow.kind == kind.value))
    return found


def _deliveries(session: Session) -> int:
    waits = and_(one_of(Delivery.status, NOT_LEFT), Delivery.due_at < NEVER)
    held = _note(session, HeldKind.DELIVERY, Delivery.due_at, waits)
    mine = and_(waits, noted(HeldKind.DELIVERY, Delivery))
    told: Any = select(
        Delivery.notification_id,
        Delivery.batch_id,
        Delivery.id,
        literal(clock.now(), Event.at.type),
        literal_column("'held'"),
        literal(_DETAIL),
    ).where(mine)
    columns = ["notification_id", "batch_id", "delivery_id", "at", "kind", "detail"]
    session.execute(insert(Event).from_select(columns, told))
    _run(session, update(Delivery).where(mine).values(due_at=NEVER))
    return held


def _batches(session: Session) -> int:
    """Close batches, so that what is accepted from now on opens others, and hold them back."""
    open_or_full = one_of(Batch.status, (BatchStatus.OPEN, BatchStatus.CLOSED))
    waits = and_(open_or_full, ~noted(HeldKind.BATCH, Batch))
    told: Any = select(Batch.id, literal(clock.now(), Event.at.type), literal_column("'held'"), literal(_DETAIL))
    session.execute(insert(Event).from_select(["batch_id", "at", "kind", "detail"], told.where(waits)))
    was = case((Batch.held.is_(True), KEPT), else_=Batch.status)
    held = _note(session, HeldKind.BATCH, Batch.closes_at, waits, was)
    goes = or_(Batch.held.is_(False), Batch.status == BatchStatus.OPEN.value)
    values = {
        "status": BatchStatus.CLOSED.value,
        "held": True,
        "closed_at": func.coalesce(Batch.closed_at, clock.now()),
    }
    _run(session, update(Batch).where(open_or_full, goes, noted(HeldKind.BATCH, Batch)).values(**values))
    return held


def _callbacks(session: Session) -> int:
    waits = and_(CallbackMessage.status == "PENDING", CallbackMessage.due_at < NEVER)
    held = _note(session, HeldKind.CALLBACK, CallbackMessage.due_at, waits)
    mine = and_(waits, noted(HeldKind.CALLBACK, CallbackMessage))
    _run(session, update(CallbackMessage).where(mine).values(due_at=NEVER))
    return held


def _spreadsheets(session: Session) -> int:
    waits = and_(one_of(Spreadsheet.stage, (Stage.SENDING, Stage.AGAIN)), Spreadsheet.due_at < NEVER)
    held = _note(session, HeldKind.SPREADSHEET, Spreadsheet.due_at, waits)
    mine = and_(waits, noted(HeldKind.SPREADSHEET, Spreadsheet))
    _run(session, update(Spreadsheet).where(mine).values(due_at=NEVER, note=_DETAIL))
    return held
