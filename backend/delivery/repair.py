"""Repair: what dead workers held, and what living ones have dropped, goes back or is finished."""

import logging
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, insert, or_, select, update
from sqlalchemy.orm import Session

from backend.db.models.notifications import Delivery, DeliveryStatus, Event
from backend.db.models.operations import Worker
from backend.delivery import states
from backend.delivery.doubt import Doubt
from backend.lib import clock

logger = logging.getLogger(__name__)


class Stranded(msgspec.Struct, frozen=True):
    """A delivery that bears the name of a worker which does not have it in its hands any more."""

    id: int
    notification_id: int | None
    batch_id: int | None
    status: str
    attempts: int
    provider: str | None
    error: str | None
    claimed_by: str
    doubt: str | None


_COLUMNS = tuple(getattr(Delivery, name) for name in Stranded.__struct_fields__)


def stranded(session: Session, dead: Collection[str], mine: str, holding: Collection[int]) -> list[Stranded]:
    """List what dead and unknown workers have left, and what the worker ``mine`` bears but is not ``holding``."""
    return [row for row in _rows(session, _left_behind(dead, mine)) if row.claimed_by != mine or row.id not in holding]


def _left_behind(dead: Collection[str], mine: str) -> Select[Any]:
    living = select(Worker.name).where(Worker.name.not_in(dead), Worker.name != mine)
    return select(*_COLUMNS).where(
        Delivery.claimed_by.is_not(None), or_(Delivery.claimed_by == mine, Delivery.claimed_by.not_in(living))
    )


def _rows(session: Session, query: Select[Any]) -> list[Stranded]:
    return [Stranded(*row) for row in session.execute(query)]


def recover(session: Session, found: Sequence[Stranded], mine: str, holding: Collection[int]) -> None:
    """Put back what was not sent as far as anyone knows; finish what was marked and not followed up.

    What somebody has taken up since it was found is left to them.
    A message that was in a dead hand may have gone out: it goes again with the same Message-ID.
    """
    still = select(*_COLUMNS).where(
        Delivery.id.in_([row.id for row in found]), Delivery.claimed_by.in_({row.claimed_by for row in found})
    )
    again = _rows(session, still.order_by(Delivery.id).with_for_update(skip_locked=True))
    rows = [row for row in again if row.claimed_by != mine or row.id not in holding]
    if not rows:
        return
    for status in (DeliveryStatus.QUEUED, DeliveryStatus.RETRYING):
        tried = status is DeliveryStatus.RETRYING
        _let_go(session, [row for row in rows if _was_sending(row) and (row.attempts > 0) is tried], status)
    _let_go(session, [row for row in rows if not _was_sending(row)], None)
    session.execute(insert(Event), [_event(row) for row in rows])
    states.refresh(session, {row.notification_id for row in rows if row.notification_id is not None})
    states.refresh_batches(session, {row.batch_id: None for row in rows if row.batch_id is not None})
    logger.warning("%d deliveries were in dead hands and have been taken up again", len(rows))


def _was_sending(row: Stranded) -> bool:
    # What waits for a person to decide has that status too, and is not to be sent again.
    return row.status == DeliveryStatus.SENDING.value and row.doubt != Doubt.PERSON


def _let_go(session: Session, rows: Sequence[Stranded], status: DeliveryStatus | None) -> None:
    values = {"claimed_by": None} | ({} if status is None else {"status": status.value})
    if rows:
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_([row.id for row in rows]))
            .values(**values)
            .execution_options(synchronize_session=False)
        )


_KINDS = {
    DeliveryStatus.SENT.value: "accepted",
    DeliveryStatus.RETRYING.value: "retry",
    DeliveryStatus.SENDING.value: "ambiguous",
}


def _event(row: Stranded) -> dict[str, Any]:
    """Tell that a delivery goes back, or what its worker had no time to tell."""
    event: dict[str, Any] = {
        "notification_id": row.notification_id,
        "batch_id": row.batch_id,
        "delivery_id": row.id,
        "at": clock.now(),
    }
    if _was_sending(row):
        detail = "The worker that held this delivery stopped; it goes back to be sent."
        return event | {"kind": "released", "attempt": None, "provider": None, "detail": detail}
    detail = row.error or "taken (its worker stopped before it could write down the answer)"
    kind = _KINDS.get(row.status, "permanent")
    return event | {"kind": kind, "attempt": row.attempts, "provider": row.provider, "detail": detail}
