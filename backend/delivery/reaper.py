"""The reaper: what dead workers held, and what living ones have dropped, goes back, is finished, or is unknown.

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
from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from backend.channels import simulator
from backend.channels.base import Outcome, ProviderError
from backend.db import events, leases
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.delivery.outcomes import conversations, record, states, unknown_outcome
from backend.delivery.outcomes.record import Result
from backend.delivery.outcomes.unknown_outcome import UnknownOutcome
from backend.delivery.providers import routes
from backend.delivery.queueing import claims
from backend.delivery.queueing.claims import Claim
from backend.delivery.sending import dispatch

logger = logging.getLogger(__name__)
_STOPPED = "the worker that gave it the message stopped before it could write down the answer"


class Orphaned(msgspec.Struct, frozen=True):
    """A delivery that bears the token of a worker which does not have it claimed any more."""

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


_COLUMNS = tuple(getattr(Delivery, name) for name in Orphaned.__struct_fields__)


def orphaned(session: Session, mine: str, holding: Container[tuple[str, int]]) -> list[Orphaned]:
    """List what bears a token without a lease, and what bears ``mine``, unless this process is ``holding`` it."""
    left = leases.is_orphaned(Delivery.claimed_by, mine)
    rows = _rows(session, select(*_COLUMNS).where(Delivery.claimed_by.is_not(None), left))
    return [row for row in rows if (row.claimed_by, row.id) not in holding]


def _rows(session: Session, query: Select[Any]) -> list[Orphaned]:
    return [Orphaned(*row) for row in session.execute(query)]


def recover(session: Session, found: Sequence[Orphaned], holding: Container[tuple[str, int]]) -> list[Result]:
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
    outcome_unknown = _of_unknown_outcome(
        session, [row for row in rows if _was_sending(row) and row.begun_at is not None]
    )
    resolved = {result.claim.id for result in outcome_unknown}
    rows = [row for row in rows if row.id not in resolved]
    for status in (DeliveryStatus.QUEUED, DeliveryStatus.RETRYING):
        tried = status is DeliveryStatus.RETRYING
        _let_go(session, [row for row in rows if _was_sending(row) and (row.attempts > 0) is tried], status)
    _let_go(session, [row for row in rows if not _was_sending(row)], None)
    events.write(session, [_event(row) for row in rows])
    conversations.remember_found(session, [row.id for row in rows])
    states.refresh(session, {row.notification_id for row in rows if row.notification_id is not None})
    states.refresh_batches(session, {row.batch_id: None for row in rows if row.batch_id is not None})
    dispatch.expect_anew(session, [row.id for row in rows if _is_taken_by_simulator(row)])
    taken_up = len(rows) + len(resolved)
    logger.warning("%d deliveries of dead workers have been taken up again", taken_up)
    return outcome_unknown


def _of_unknown_outcome(session: Session, begun: Iterable[Orphaned]) -> list[Result]:
    """Write down an unknown outcome for each message that was begun and must not simply be given again."""
    by_token: dict[str, list[Orphaned]] = defaultdict(list)
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
    follows: UnknownOutcome | None = UnknownOutcome.PERSON
    if provider is not None:
        with closing(provider.open()) as connection:
            follows = unknown_outcome.resolver(provider, connection, claim.attempts + 1)
    if follows is None:
        return None
    return record.failure(claim, claim.provider or "the provider", ProviderError(Outcome.AMBIGUOUS, _STOPPED), follows)


def _was_sending(row: Orphaned) -> bool:
    # What waits for a person to decide has that status too, and is not to be sent again.
    return row.status == DeliveryStatus.SENDING.value and row.doubt != UnknownOutcome.PERSON


def _is_taken_by_simulator(row: Orphaned) -> bool:
    return row.provider == simulator.NAME and row.status == DeliveryStatus.SENT.value


def _let_go(session: Session, rows: Sequence[Orphaned], status: DeliveryStatus | None) -> None:
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


def _event(row: Orphaned) -> dict[str, Any]:
    """Tell that a delivery goes back, or what its worker had no time to tell."""
    own = {"notification_id": row.notification_id, "batch_id": row.batch_id, "delivery_id": row.id}
    if _was_sending(row):
        detail = "The worker that held this delivery stopped; it goes back to be sent."
        return events.event("released", detail) | own
    detail = row.error or "taken (its worker stopped before it could write down the answer)"
    kind = _KINDS.get(row.status, "permanent")
    return events.event(kind, detail, attempt=row.attempts, provider=row.provider) | own
