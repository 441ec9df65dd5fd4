"""Reaching the goal of an obligation, once: by a receipt, by a link or button, through the API or in the portal.

The obligation's row decides every race: whoever changes its state holds that row until the transaction's end, and a
step is only taken of one that is open. Reaching the goal after that no step was left takes it off the worklist.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, cast
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, CursorResult, select, update
from sqlalchemy.orm import Session

from backend.callbacks import obligations as callbacks
from backend.channels.addresses import masked
from backend.db import events
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.db.models.obligations import Obligation, ObligationState, ObligationStep, StepState
from backend.lib import clock
from backend.lib.problems import Problem
from backend.obligations import worklist_tickets

Through = Literal["RECEIPT", "LINK", "SLACK", "API", "PORTAL"]

_REACHABLE = (ObligationState.OPEN.value, ObligationState.WORKLIST.value)
_LONGEST_NAME = 320
# Why a step's message is not sent that was on its way.
NEEDLESS = "Its obligation has ended meanwhile, and this was a step of it."
_SAID: Mapping[Through, str] = {
    "RECEIPT": "Delivered to {by}, so the obligation is met",
    "LINK": "Acknowledged by {by} through the link in a message, so the obligation is met",
    "SLACK": "Acknowledged by {by} with the button in Slack, so the obligation is met",
    "API": "Acknowledged by {by} through the API, so the obligation is met",
    "PORTAL": "Acknowledged by {by} in the portal, so the obligation is met",
}


class Acknowledgement(msgspec.Struct, frozen=True):
    """Who acknowledges, as far as that is known, and how."""

    by: str
    through: Through


def acknowledge(session: Session, service_id: int, uid: UUID, given: Acknowledgement) -> bool:
    """Meet the obligation of a service's notification, or of the step that it is; false if it was met before.

    Raises:
        Problem: ``not_found`` if the service has none such, ``no_obligation`` if it owes nothing, ``obligation_closed``
            if a person closed it.
    """
    found = check_owes(session, service_id, uid)
    if meet(session, found.id, given):
        return True
    state = session.scalar(select(Obligation.state).where(Obligation.id == found.id))
    if state == ObligationState.CLOSED.value:
        raise Problem("obligation_closed", "A person has closed this obligation; there is nothing to acknowledge.")
    return False


def check_owes(session: Session, service_id: int, uid: UUID) -> Obligation:
    """Return the obligation that a service's notification owes, or is a step of.

    Raises:
        Problem: ``not_found`` if the service has none such, ``no_obligation`` if it owes nothing.
    """
    found = of_notification(session, service_id, uid)
    if found is not None:
        return found
    if session.scalar(select(Notification.id).where(Notification.uid == uid, Notification.service_id == service_id)):
        raise Problem("no_obligation", "This notification was sent without an obligation: nobody has to answer for it.")
    raise Problem("not_found", "This service has no notification of this id.")


def of_notification(session: Session, service_id: int, uid: UUID) -> Obligation | None:
    """Return the obligation that a notification owes, or is a step of."""
    own = select(ObligationStep.obligation_id).where(ObligationStep.notification_uid == uid)
    return session.scalar(select(Obligation).where(Obligation.service_id == service_id, Obligation.id.in_(own)))


def meet(session: Session, identity: int, given: Acknowledgement) -> bool:
    """Say that the goal is reached, and cancel the steps to come; false if the obligation has ended before."""
    now = clock.now()
    values = {
        "state": ObligationState.MET.value,
        "met_by": given.by[:_LONGEST_NAME],
        "met_through": given.through,
        "met_at": now,
    }
    if not end(session, identity, values):
        return False
    tell(session, identity, _SAID[given.through].format(by=given.by[:_LONGEST_NAME]))
    callbacks.changed(session, [identity])
    return True


def end(session: Session, identity: int, values: Mapping[str, Any]) -> bool:
    """Bring an obligation that has not ended to its end; what was to come is not needed any more."""
    ending = update(Obligation).where(Obligation.id == identity, Obligation.state.in_(_REACHABLE))
    now = clock.now()
    # Of what a receipt has met nobody answered who could be named: there is nothing to say anywhere.
    follow_up_at = None if values.get("met_through") == "RECEIPT" else now
    ended = {"next_at": None, "ended_at": now, "follow_up_at": follow_up_at, **values}
    changed = session.execute(ending.values(ended).execution_options(synchronize_session=False))
    if cast("CursorResult[Any]", changed).rowcount != 1:
        return False
    waiting = (ObligationStep.obligation_id == identity, ObligationStep.state == StepState.WAITING.value)
    session.execute(
        update(ObligationStep)
        .where(*waiting)
        .values(state=StepState.CANCELLED.value)
        .execution_options(synchronize_session=False)
    )
    return True


def tell(session: Session, identity: int, sentence: str) -> None:
    """Write into the notification's history what became of its obligation, as long as that is kept."""
    owes = select(Obligation.notification_uid).where(Obligation.id == identity).scalar_subquery()
    notification_id = session.scalar(select(Notification.id).where(Notification.uid == owes))
    if notification_id is not None:
        events.write(session, [events.event("obligation", sentence, notification_id=notification_id)])


def delivered(session: Session, notification_ids: set[int]) -> None:
    """Meet those obligations until ``delivered`` of which one of these notifications is a step."""
    if not notification_ids:
        return
    reachable = Obligation.state.in_(_REACHABLE)
    for identity in session.scalars(_until_delivered(Notification.id.in_(notification_ids), reachable)).all():
        meet_if_delivered(session, identity)


def _until_delivered(*which: ColumnElement[bool]) -> Any:
    return (
        select(Obligation.id)
        .join(ObligationStep, ObligationStep.obligation_id == Obligation.id)
        .join(Notification, Notification.uid == ObligationStep.notification_uid)
        .where(*which, Obligation.until == "delivered")
        .distinct()
        .order_by(Obligation.id)
    )


def meet_if_delivered(session: Session, identity: int) -> bool:
    """Meet an obligation if a message of any of its steps is known to have been delivered."""
    arrived = _arrived(session, identity)
    return arrived is not None and meet(session, identity, Acknowledgement(masked(*arrived), "RECEIPT"))


def _arrived(session: Session, identity: int) -> tuple[str, str] | None:
    """Return channel and address of the first message of an obligation's steps that is known to have arrived."""
    found = session.execute(
        select(Delivery.type, Delivery.address)
        .join(Notification, Notification.id == Delivery.notification_id)
        .join(ObligationStep, ObligationStep.notification_uid == Notification.uid)
        .where(ObligationStep.obligation_id == identity, Delivery.status == DeliveryStatus.DELIVERED.value)
        .order_by(Delivery.delivered_at, Delivery.id)
        .limit(1)
    ).first()
    return None if found is None else (found[0], found[1])


def came_back(session: Session, notification_ids: set[int]) -> None:
    """Bring before a person what counted as delivered by one of these notifications, and has come back since.

    Its steps have been cancelled for that, so nobody else will be told: it is not met, unless another message arrived.
    """
    if not notification_ids:
        return
    met = (Obligation.state == ObligationState.MET.value, Obligation.met_through == "RECEIPT")
    for identity in session.scalars(_until_delivered(Notification.id.in_(notification_ids), *met)).all():
        if _arrived(session, identity) is None:
            _put_back(session, identity, met)


def _put_back(session: Session, identity: int, met: Sequence[ColumnElement[bool]]) -> None:
    values = {"state": ObligationState.WORKLIST.value, "worklist_at": clock.now()}
    values |= dict.fromkeys(("met_by", "met_through", "met_at", "ended_at", "follow_up_at", "followed_up"))
    undone = update(Obligation).where(Obligation.id == identity, *met).values(values).returning(Obligation.id)
    if session.scalar(undone.execution_options(synchronize_session=False)) is not None:
        worklist_tickets.want(session, session.get_one(Obligation, identity, populate_existing=True))
        detail = "What had been reported as delivered has come back: put on the worklist of the service"
        tell(session, identity, detail)
        callbacks.changed(session, [identity])


def needless(session: Session, notification_ids: Collection[int]) -> frozenset[int]:
    """Return those of these notifications that are later steps of obligations which have ended meanwhile."""
    ended = (ObligationState.MET.value, ObligationState.CLOSED.value)
    steps = (
        select(Notification.id)
        .join(ObligationStep, ObligationStep.notification_uid == Notification.uid)
        .join(Obligation, Obligation.id == ObligationStep.obligation_id)
        .where(Notification.id.in_(notification_ids), ObligationStep.number > 0, Obligation.state.in_(ended))
    )
    return frozenset(session.scalars(steps))
