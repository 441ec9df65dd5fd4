"""Tickets for what comes to the worklist, where the service says whose service desk gets one: one for each obligation.

That one is wanted is written down in the transaction in which the obligation comes to the worklist: as a step behind
its last one, whose message is the ticket. What makes it comes after that, and again if it dies meanwhile. Where a step
has made a ticket already, that is the obligation's.
"""

import json
from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db import events
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.db.models.obligations import Obligation, ObligationStep, StepState
from backend.db.models.sending import SendingRule
from backend.lib import clock, ids

_CHUNK = 50
_MARK = '{"worklist_ticket":'
_GIVEN = (DeliveryStatus.SENT.value, DeliveryStatus.DELIVERED.value)
# Word for word as the partial index has it.
_IS_TAKEN = ObligationStep.state == literal_column(f"'{StepState.TAKEN}'")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket that is to be made for a service's recipient; ``uid`` is the notification that it will be."""

    step_id: int
    obligation_id: int
    service_id: int
    uid: UUID
    recipient: str


def is_ticket(content: str | None) -> bool:
    """Tell whether the content of a step is that of a ticket for the worklist."""
    return content is not None and content.startswith(_MARK)


def of_tickets() -> ColumnElement[bool]:
    """Select those steps that are tickets for the worklist."""
    return ObligationStep.content.startswith(_MARK, autoescape=True)


def recipient(session: Session, service_id: int) -> str | None:
    """Return which of a service's recipients gets tickets for what comes to the worklist, if one does."""
    own = (SendingRule.service_id == service_id, SendingRule.kind == "service")
    return session.scalar(select(SendingRule.worklist_ticket).where(*own))


def want(session: Session, owed: Obligation) -> None:
    """Write down that an obligation which comes to the worklist is to have a ticket, unless it has or is to have one.

    The caller holds the obligation's row.
    """
    name = recipient(session, owed.service_id)
    if name is None or _is_wanted(session, owed.id) or session.scalar(select(_tickets_of(owed.id).exists())):
        return
    number, after = session.execute(
        select(func.max(ObligationStep.number), func.max(ObligationStep.after)).where(*_own(owed.id))
    ).one()
    now = clock.now()
    step = ObligationStep(
        obligation_id=owed.id,
        number=number + 1,
        notification_uid=ids.step_notification_id(owed.notification_uid, number + 1),
        after=after,
        due_at=now,
        state=StepState.TAKEN.value,
        content=f"{_MARK}{json.dumps(name)}}}",
        taken_at=now,
    )
    session.add(step)
    session.flush()


def _is_wanted(session: Session, identity: int) -> bool:
    """Tell whether a ticket is being made, is on its way, or could not be made; one that was cancelled is none."""
    steps = session.scalars(select(ObligationStep).where(*_own(identity), of_tickets())).all()
    if any(one.state in {StepState.TAKEN.value, StepState.REFUSED.value} for one in steps):
        return True
    sent = [one.notification_uid for one in steps if one.state == StepState.SENT.value]
    on_their_way = (
        select(Delivery.id)
        .join(Notification, Notification.id == Delivery.notification_id)
        .where(Notification.uid.in_(sent), Delivery.status != DeliveryStatus.CANCELLED.value)
    )
    return bool(sent) and session.scalar(select(on_their_way.exists())) is True


def _own(identity: int) -> tuple[ColumnElement[bool], ...]:
    return (ObligationStep.obligation_id == identity,)


def _tickets_of(identity: int) -> Select[int]:
    """Select the tickets that steps of an obligation have made."""
    return (
        select(Delivery.id)
        .join(Notification, Notification.id == Delivery.notification_id)
        .join(ObligationStep, ObligationStep.notification_uid == Notification.uid)
        .where(*_own(identity), Delivery.type == Channel.FRESHSERVICE.value, Delivery.status.in_(_GIVEN))
    )


def wanted(session: Session) -> Sequence[Wanted]:
    """List tickets that are to be made: a look that locks nothing."""
    rows = session.execute(
        select(Obligation.service_id, ObligationStep)
        .join(ObligationStep, ObligationStep.obligation_id == Obligation.id)
        .where(_IS_TAKEN, of_tickets())
        .order_by(ObligationStep.taken_at, ObligationStep.id)
        .limit(_CHUNK)
    )
    return [
        Wanted(
            step_id=step.id,
            obligation_id=step.obligation_id,
            service_id=service_id,
            uid=step.notification_uid,
            recipient=json.loads(step.content or "")["worklist_ticket"],
        )
        for service_id, step in rows
    ]


def begin(session: Session, one: Wanted) -> Obligation | None:
    """Return the obligation whose ticket is made in this transaction; none where another has made it.

    One that was answered meanwhile needs no ticket any more.
    """
    step = session.scalar(
        select(ObligationStep)
        .where(ObligationStep.id == one.step_id, ObligationStep.state == StepState.TAKEN.value)
        .with_for_update()
    )
    if step is None:
        return None
    owed = session.get_one(Obligation, one.obligation_id)
    if owed.ended_at is not None:
        step.state = StepState.CANCELLED.value
        return None
    return owed


def made(session: Session, one: Wanted) -> None:
    """Write down that a ticket is on its way."""
    _end(session, one, StepState.SENT, None, f"A ticket for the worklist goes to {one.recipient}")


def refused(session: Session, one: Wanted, why: str) -> None:
    """Write down that no ticket could be made; the worklist has the obligation all the same."""
    _end(session, one, StepState.REFUSED, why, f"No ticket could be made for the worklist. {why}")


def _end(session: Session, one: Wanted, state: StepState, detail: str | None, sentence: str) -> None:
    step = session.get_one(ObligationStep, one.step_id)
    step.state, step.detail = state.value, detail
    session.flush()
    owes = select(Obligation.notification_uid).where(Obligation.id == one.obligation_id).scalar_subquery()
    notification_id = session.scalar(select(Notification.id).where(Notification.uid == owes))
    if notification_id is not None:
        events.write(session, [events.event("obligation", sentence, notification_id=notification_id)])
