"""Forgetting obligations that ended long ago; none is forgotten that waits for somebody."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.db.models.notifications import Notification
from backend.db.models.obligations import Obligation, ObligationDay, ObligationStep
from backend.lib import clock, settings

_CHUNK = 300


def over(session: Session) -> Sequence[int]:
    """List some obligations that are to be deleted: ended for as long as is kept, their notifications gone."""
    limit = clock.now() - timedelta(days=settings.current().retention_days)
    there = select(Notification.uid).where(Notification.uid == Obligation.notification_uid).exists()
    wanted = select(Obligation.id).where(Obligation.ended_at < limit, ~there)
    return session.scalars(wanted.order_by(Obligation.id).limit(_CHUNK)).all()


def purge(session: Session, identities: Sequence[int]) -> None:
    """Delete obligations with their steps, and the counts of days that nobody draws up any more."""
    session.execute(delete(ObligationStep).where(ObligationStep.obligation_id.in_(identities)))
    session.execute(delete(Obligation).where(Obligation.id.in_(identities)))
    limit = clock.now() - timedelta(days=settings.current().retention_days)
    session.execute(delete(ObligationDay).where(ObligationDay.day < limit.date() - timedelta(days=1)))
