"""Ending obligations otherwise than by reaching their goal: by hand, or with what they are about."""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from backend.callbacks import obligations as callbacks
from backend.db.models.notifications import Notification
from backend.db.models.obligations import Obligation, ObligationState, ObligationStep
from backend.lib import clock
from backend.obligations import goals

ClosedThrough = Literal["API", "PORTAL", "MATTER", "TICKET"]
_LONGEST_NAME = 320


def close(session: Session, identity: int, by: str, reason: str, through: ClosedThrough | None) -> bool:
    """Close an obligation that has not ended, and tell its notification's history and its client; false if it has.

    ``through`` is None where its notification was cancelled.
    """
    values = {
        "state": ObligationState.CLOSED.value,
        "closed_by": by[:_LONGEST_NAME],
        "closed_through": through,
        "closed_reason": reason,
    }
    if not goals.end(session, identity, values):
        return False
    goals.tell(session, identity, f"The obligation was closed by {by[:_LONGEST_NAME]}: {reason}")
    callbacks.changed(session, [identity])
    return True


def with_matter(session: Session, matter_id: UUID, by: str, reason: str, through: ClosedThrough) -> int:
    """Close what a matter's notifications owe; return how many obligations that were.

    What is scheduled has not begun: it opens the matter again when it is sent, and owes what it owes from then on.
    """
    wanted = select(Obligation.id).where(
        Obligation.matter_id == matter_id, Obligation.ended_at.is_(None), Obligation.id.not_in(_to_begin())
    )
    return _close_all(session, session.scalars(wanted.order_by(Obligation.id)).all(), by, reason, through)


def of_notifications(session: Session, uids: Sequence[UUID], by: str, reason: str, through: ClosedThrough) -> int:
    """Close what these notifications owe, or are steps of; return how many obligations that were."""
    steps = select(ObligationStep.obligation_id).where(ObligationStep.notification_uid.in_(uids))
    wanted = select(Obligation.id).where(Obligation.id.in_(steps), Obligation.ended_at.is_(None))
    return _close_all(session, session.scalars(wanted.order_by(Obligation.id)).all(), by, reason, through)


def _to_begin() -> Select[int]:
    return (
        select(ObligationStep.obligation_id)
        .join(Notification, Notification.uid == ObligationStep.notification_uid)
        .where(
            ObligationStep.obligation_id == Obligation.id,
            ObligationStep.number == 0,
            Notification.send_at > clock.now(),
        )
    )


def _close_all(session: Session, identities: Sequence[int], by: str, reason: str, through: ClosedThrough) -> int:
    return sum(close(session, identity, by, reason, through) for identity in identities)
