"""The worklist of a service: what nobody has answered for, until a person does."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.obligations import Obligation, ObligationState
from backend.lib.problems import FieldError, Problem
from backend.obligations import closing, goals
from backend.obligations.closing import ClosedThrough

LONGEST_REASON = 1_000


def page(session: Session, service_id: int, limit: int, after: int | None) -> Sequence[Obligation]:
    """Return the service's obligations that wait for a person, the oldest first, beginning behind a row."""
    waits = (Obligation.service_id == service_id, Obligation.state == ObligationState.WORKLIST.value)
    return session.scalars(
        select(Obligation).where(*waits, Obligation.id > (after or 0)).order_by(Obligation.id).limit(limit)
    ).all()


def close(  # noqa: PLR0913 - which one, and all that is kept of its end
    session: Session, service_id: int, uid: UUID, by: str, reason: str, *, through: ClosedThrough | None = None
) -> bool:
    """Close an obligation that has not ended, with a reason; false if it has.

    Raises:
        Problem: ``not_found`` if the service has none such, ``invalid_request`` without a reason.
    """
    found = goals.of_notification(session, service_id, uid)
    if found is None:
        raise Problem("not_found", "This service has no obligation of this notification.")
    reason = " ".join(reason.split())[:LONGEST_REASON]
    if not reason:
        fault = FieldError("/reason", "missing_member", "A reason is needed: it is what others find later.")
        raise Problem("invalid_request", fault.detail, errors=[fault])
    return closing.close(session, found.id, by, reason, through)
