"""Taking the steps of open obligations as they come due, each once, and sending to the worklist what has none left.

To take a step is one transaction, which holds the obligation's row and looks once more whether the goal is reached.
What is taken is handed over to intake after that; a worker that dies in between leaves it marked, and another one
hands it over again under the same id, which sends it once.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import and_, literal_column, select, update
from sqlalchemy.orm import Session

from backend.callbacks import obligations as callbacks
from backend.db.models.notifications import Notification
from backend.db.models.obligations import Obligation, ObligationState, ObligationStep, StepState
from backend.lib import clock
from backend.obligations import goals, worklist_tickets

_CHUNK = 200
# A worker that is alive has handed a step over long before.
_ABANDONED = timedelta(seconds=60)
# Where nobody took steps for longer than this, those that follow keep their distance from the one that comes late.
_LATE = timedelta(minutes=1)


# Word for word as the partial indexes have it: SQLite takes them for nothing else.
_IS_OPEN = Obligation.state == literal_column(f"'{ObligationState.OPEN}'")
_IS_TAKEN = ObligationStep.state == literal_column(f"'{StepState.TAKEN}'")


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """A step to be handed over to intake as a notification of its own; ``owed_by`` is the one that owes it."""

    step_id: int
    service_id: int
    api_client_id: int | None
    uid: UUID
    owed_by: UUID
    until: str
    content: str


def due(session: Session) -> Sequence[int]:
    """List open obligations whose next step, or end, is due: a look that locks nothing."""
    wanted = select(Obligation.id).where(_IS_OPEN, Obligation.next_at <= clock.now())
    return session.scalars(wanted.order_by(Obligation.next_at, Obligation.id).limit(_CHUNK)).all()


def take(session: Session, identity: int) -> Taken | None:
    """Take the step that is due now; none where the goal is reached, another worker is at it, or none is left."""
    now = clock.now()
    wanted = select(Obligation).where(
        Obligation.id == identity, Obligation.state == ObligationState.OPEN.value, Obligation.next_at <= now
    )
    held = session.scalar(wanted.with_for_update(skip_locked=True))
    if held is None or (held.until == "delivered" and goals.meet_if_delivered(session, identity)):
        return None
    waiting = _waiting(session, identity)
    step = waiting[0] if waiting else None
    if step is None or step.content is None:
        _to_worklist(session, held, step, now)
        return None
    step.state, step.taken_at = StepState.TAKEN.value, now
    _keep_distance(waiting, now)
    held.next_at = waiting[1].due_at if len(waiting) > 1 else now
    session.flush()
    return _taken(held, step, step.content)


def _waiting(session: Session, identity: int) -> Sequence[ObligationStep]:
    waits = (ObligationStep.obligation_id == identity, ObligationStep.state == StepState.WAITING.value)
    return session.scalars(select(ObligationStep).where(*waits).order_by(ObligationStep.number)).all()


def _keep_distance(waiting: Sequence[ObligationStep], now: datetime) -> None:
    late = now - waiting[0].due_at
    if late > _LATE:
        for step in waiting[1:]:
            step.due_at += late


def _to_worklist(session: Session, held: Obligation, end: ObligationStep | None, now: datetime) -> None:
    held.state, held.worklist_at, held.next_at = ObligationState.WORKLIST.value, now, None
    if end is not None:
        end.state, end.taken_at = StepState.SENT.value, now
    session.flush()
    worklist_tickets.want(session, held)
    goals.tell(session, held.id, "Nobody has answered after the last step: put on the worklist of the service")
    callbacks.changed(session, [held.id])


def _taken(held: Obligation, step: ObligationStep, content: str) -> Taken:
    return Taken(
        step_id=step.id,
        service_id=held.service_id,
        api_client_id=held.api_client_id,
        uid=step.notification_uid,
        owed_by=held.notification_uid,
        until=held.until,
        content=content,
    )


def abandoned(session: Session) -> list[Taken]:
    """Return the steps that were taken and, for all that is known, not handed over by whoever took them."""
    taken = and_(_IS_TAKEN, ObligationStep.taken_at < clock.now() - _ABANDONED, ~worklist_tickets.of_tickets())
    rows = session.execute(
        select(Obligation, ObligationStep)
        .join(ObligationStep, ObligationStep.obligation_id == Obligation.id)
        .where(taken)
        .order_by(ObligationStep.taken_at, ObligationStep.id)
        .limit(_CHUNK)
    )
    return [_taken(held, step, step.content or "") for held, step in rows]


def is_needed(session: Session, taken: Taken) -> bool:
    """Tell whether a step that was left behind still has to be handed over; if not, say what it came to.

    It was handed over if its notification is there. If it was not, and the goal is reached by now, it is cancelled.
    """
    step = session.scalar(
        select(ObligationStep)
        .where(ObligationStep.id == taken.step_id, ObligationStep.state == StepState.TAKEN.value)
        .with_for_update(skip_locked=True)
    )
    if step is None:
        return False
    accepted = (Notification.uid == taken.uid, Notification.accepted_at.is_not(None))
    if session.scalar(select(Notification.id).where(*accepted)) is not None:
        step.state = StepState.SENT.value
        session.flush()
        callbacks.step(session, step.id, "obligation.step_taken")
        return False
    state = session.scalar(select(Obligation.state).where(Obligation.id == step.obligation_id))
    if state in {ObligationState.MET.value, ObligationState.CLOSED.value}:
        step.state = StepState.CANCELLED.value
        return False
    return True


def handed_over(session: Session, taken: Taken, waits: str | None = None) -> None:
    """Write down that a step's notification was accepted, and why it has to wait if it has to."""
    if _end(session, taken, StepState.SENT, waits):
        callbacks.step(session, taken.step_id, "obligation.step_taken")


def refused(session: Session, taken: Taken, why: str) -> None:
    """Write down that a step could not be taken, and bring the next one forward: nobody was told by this one."""
    if not _end(session, taken, StepState.REFUSED, why):
        return
    callbacks.step(session, taken.step_id, "obligation.step_refused")
    owes = select(ObligationStep.obligation_id).where(ObligationStep.id == taken.step_id).scalar_subquery()
    identity = session.scalar(
        update(Obligation)
        .where(Obligation.id == owes, Obligation.state == ObligationState.OPEN.value)
        .values(next_at=clock.now())
        .returning(Obligation.id)
        .execution_options(synchronize_session=False)
    )
    if identity is not None:
        goals.tell(session, identity, f"A step could not be taken, so the next one follows at once. {why}")


def _end(session: Session, taken: Taken, state: StepState, detail: str | None) -> bool:
    resolved = (
        update(ObligationStep)
        .where(ObligationStep.id == taken.step_id, ObligationStep.state == StepState.TAKEN.value)
        .values(state=state.value, detail=detail)
        .returning(ObligationStep.id)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(resolved) is not None
