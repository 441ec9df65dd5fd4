"""What was written by a clock that was ahead of ours: it would be due only when ours has come so far.

A machine whose clock is an hour ahead says of what it accepts, and of what it tries again, that it is due an hour
later than all others would. It shows in that it was written later than now.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from backend.db.models.installation import NEVER
from backend.db.models.notifications import WAITING, Delivery, Event
from backend.db.models.providers import ProviderState
from backend.db.statements import one_of
from backend.delivery.providers import health
from backend.delivery.queueing import retries
from backend.lib import clock, settings

# Clocks of several machines differ a little.
_SKEW = timedelta(seconds=5)
CHUNK = 500


def found(session: Session) -> bool:
    """Tell whether a message or a provider waits for such a moment: a look that locks nothing."""
    now = clock.now()
    looks = (select(Delivery.id).where(_late(now)), select(ProviderState.id).where(_blocked(now)))
    return any(session.execute(look.limit(1)).first() is not None for look in looks)


def fix(session: Session) -> None:
    """Let messages and providers wait from now on, for as long as they would have by our clock, and no longer."""
    now = clock.now()
    late = select(Delivery).where(_late(now)).order_by(Delivery.due_at.desc()).limit(CHUNK)
    for one in session.scalars(late.with_for_update(skip_locked=True)):
        pause = retries.longest_pause(one.attempts, settings.current().retry_base_seconds)
        one.due_at = min(one.due_at, now + pause)
    for block, seconds in {**health.LONGEST, health.Block.PACING.value: 0.0}.items():
        until = now + timedelta(seconds=seconds)
        session.execute(
            update(ProviderState)
            .where(_blocked(now), ProviderState.block == block, ProviderState.blocked_until > until)
            .values(blocked_until=until)
            .execution_options(synchronize_session=False)
        )


def _late(now: datetime) -> ColumnElement[bool]:
    """Tell which messages wait beyond now since something about them was written beyond now."""
    ahead = now + _SKEW
    tried = exists().where(Event.delivery_id == Delivery.id, Event.at > ahead)
    return and_(
        one_of(Delivery.status, WAITING),
        Delivery.claimed_by.is_(None),
        Delivery.due_at > ahead,
        Delivery.due_at < NEVER,
        or_(func.coalesce(Delivery.requeued_at, Delivery.created_at) > ahead, tried),
    )


def _blocked(now: datetime) -> ColumnElement[bool]:
    """Tell which providers and addresses are held back longer than anything does, by a fault that is still to come."""
    longest = timedelta(seconds=max(health.LONGEST.values()))
    by_pacing = and_(ProviderState.block == health.Block.PACING.value, ProviderState.blocked_until > now + longest)
    by_fault = and_(ProviderState.last_fault_at > now + _SKEW, ProviderState.blocked_until > now + longest)
    return and_(ProviderState.block != health.Block.NONE.value, or_(by_pacing, by_fault))
