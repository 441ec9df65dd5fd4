"""Repair: what dead workers held, and what living ones have dropped, goes back, is finished, or is in doubt.

What was never given away goes back, and what may be given away twice. A message that must not be, and of which it was
written down that it was about to be, has an unknown outcome, as after an answer that did not come in time.
"""

import logging
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, insert, or_, select, update
from sqlalchemy.orm import Session

from backend.channels.base import Outcome, ProviderError
from backend.db import leases
from backend.db.models.notifications import Delivery, DeliveryStatus, Event
from backend.delivery import claims, doubt, record, routes, states
from backend.delivery.claims import Claim
from backend.delivery.doubt import Doubt
from backend.delivery.record import Result
from backend.lib import clock

logger = logging.getLogger(__name__)

_STOPPED = "the worker that gave it the message stopped before it could write down the answer"


class Stranded(msgspec.Struct, frozen=True):
    """A delivery that bears the token of a worker which does not have it in its hands any more."""

    id: int
    notification_id: int | None
    batch_id: int | None
    status: str
    attempts: int
    provider: str | None
    error: str | None
    claimed_by: str
    doubt: str | None
    type: str
    begun_at: datetime | None


_COLUMNS = tuple(getattr(Delivery, name) for name in Stranded.__struct_fields__)


def stranded(session: Session, mine: str, holding: Container[tuple[str, int]]) -> list[Stranded]:
    """List what bears a token without a lease, and what bears ``mine``, unless this process is ``holding`` it."""
    left = or_(Delivery.claimed_by == mine, leases.is_orphaned(Delivery.claimed_by))
    rows = _rows(session, select(*_COLUMNS).where(Delivery.claimed_by.is_not(None), left))
    return [row for row in rows if (row.claimed_by, row.id) not in holding]


def _rows(session: Session, query: Select[Any]) -> list[Stranded]:
    return [Stranded(*row) for row in session.execute(query)]


def recover(session: Session, found: Sequence[Stranded], holding: Container[tuple[str, int]]) -> list[Result]:
    """Put back what was not sent as far as anyone knows; finish what was marked and not followed up.

    What somebody has taken up since it was found is left to them. Returns the attempts whose outcome is unknown.
    """
    still = select(*_COLUMNS).where(
        Delivery.id.in_([row.id for row in found]), Delivery.claimed_by.in_({row.claimed_by for row in found})
    )
    again = _rows(session, still.order_by(Delivery.id).with_for_update(skip_locked=True))
    rows = [row for row in again if (row.claimed_by, row.id) not in holding]
    if not rows:
        return []
    in_doubt = _in_doubt(session, [row for row in rows if _was_sending(row) and row.begun_at is not None])
    settled = {result.claim.id for result in in_doubt}
    rows = [row for row in rows if row.id not in settled]
    for status in (DeliveryStatus.QUEUED, DeliveryStatus.RETRYING):
        tried = status is DeliveryStatus.RETRYING
        _let_go(session, [row for row in rows if _was_sending(row) and (row.attempts > 0) is tried], status)
    _let_go(session, [row for row in rows if not _was_sending(row)], None)
    if rows:
        session.execute(insert(Event), [_event(row) for row in rows])
    states.refresh(session, {row.notification_id for row in rows if row.notification_id is not None})
    states.refresh_batches(session, {row.batch_id: None for row in rows if row.batch_id is not None})
    taken_up = len(rows) + len(settled)
    logger.warning("%d deliveries were in dead hands and have been taken up again", taken_up)
    return in_doubt


def _in_doubt(session: Session, begun: Iterable[Stranded]) -> list[Result]:
    """Write down an unknown outcome for each message that was begun and must not simply be given again."""
    by_token: dict[str, list[Stranded]] = defaultdict(list)
    for row in begun:
        by_token[row.claimed_by].append(row)
    written: list[Result] = []
    for token, rows in by_token.items():
        claimed = claims.read(session, token, [row.id for row in rows])
        found = [result for claim in claimed if (result := _unknown(claim)) is not None]
        written += record.finish(session, [], found, [], token)
    return written


def _unknown(claim: Claim) -> Result | None:
    """Return what an attempt that was cut off came to, as if its answer had been lost; ``None`` where it may go again.

    The connection is asked what it is able to do, and never used.
    """
    provider = next((one for one in routes.routes()[claim.channel] if one.name == claim.provider), None)
    follows: Doubt | None = Doubt.PERSON
    if provider is not None:
        with closing(provider.open()) as connection:
            follows = doubt.policy(provider, connection, claim.attempts + 1)
    if follows is None:
        return None
    return record.failure(claim, claim.provider or "the provider", ProviderError(Outcome.AMBIGUOUS, _STOPPED), follows)


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
