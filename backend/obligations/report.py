"""What became of obligations: of one notification, and those on a service's worklist."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, cast

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.db.models.obligations import Obligation, ObligationState, ObligationStep, StepState
from backend.lib import durations
from backend.obligations import worklist, worklist_tickets
from backend.obligations.closing import ClosedThrough
from backend.obligations.goals import Through

StepKind = Literal["message", "worklist", "ticket"]


class StepReport(msgspec.Struct, frozen=True, kw_only=True):
    """A step: ``notification_id`` is the notification that it is, once it is taken; null for the worklist's turn.

    ``kind`` is ``message``, ``worklist`` (that turn) or ``ticket`` (what the service has made for its worklist).
    ``state`` is WAITING, TAKEN (being handed over), SENT, REFUSED or CANCELLED.
    ``detail`` says why it was refused, or what it had to wait for when it was taken.
    """

    kind: StepKind
    after: str
    due_at: datetime
    state: StepState
    taken_at: datetime | None
    notification_id: str | None
    detail: str | None


class TicketReport(msgspec.Struct, frozen=True, kw_only=True):
    """The ticket for what came to the worklist: ``number`` is what the service desk calls it, once it is there.

    ``state`` is TAKEN (being made), SENT (on its way, as ``status`` tells), REFUSED or CANCELLED; ``detail`` says why
    there is none.
    """

    state: StepState
    notification_id: str | None
    status: str | None
    number: str | None
    detail: str | None

    @property
    def is_missing(self) -> bool:
        """Tell whether there is none, and none to come."""
        ended = {DeliveryStatus.FAILED.value, DeliveryStatus.CANCELLED.value}
        return self.state in {StepState.REFUSED, StepState.CANCELLED} or self.status in ended


class ObligationReport(msgspec.Struct, frozen=True, kw_only=True):
    """An obligation: ``next_at`` is when its next step is due, or the worklist's turn; null unless it is OPEN.

    ``met_by`` names who reached the goal as far as that is known, and ``met_through`` is RECEIPT, LINK, SLACK, API or
    PORTAL. ``closed_through`` is API, PORTAL, MATTER (what it was about is resolved) or TICKET (that was closed in the
    service desk); null where its notification was cancelled. ``ticket`` is there where one was wanted for the worklist.
    """

    state: ObligationState
    until: str
    at_last: str
    policy_id: str | None
    opened_at: datetime
    next_at: datetime | None
    met_by: str | None
    met_at: datetime | None
    met_through: Through | None
    worklist_at: datetime | None
    closed_by: str | None
    closed_at: datetime | None
    closed_through: ClosedThrough | None
    closed_reason: str | None
    steps: list[StepReport]
    ticket: TicketReport | None = None


class WorklistRow(msgspec.Struct, frozen=True):
    """What nobody has answered for."""

    notification_id: str
    obligation: ObligationReport


def of_notification(session: Session, notification: Notification) -> ObligationReport | None:
    """Report on what a notification owes; nothing is asked for one that owes nothing."""
    if '"obligation"' not in (notification.content or "") or notification.accepted_at is None:
        return None
    row = session.scalar(select(Obligation).where(Obligation.notification_uid == notification.uid))
    return _reports(session, [row])[0] if row else None


def of(session: Session, row: Obligation) -> ObligationReport:
    """Report on an obligation."""
    return _reports(session, [row])[0]


def on_worklist(
    session: Session, service_id: int, limit: int, after: int | None
) -> tuple[list[WorklistRow], int | None]:
    """Return a page of the service's worklist, the oldest first, and behind which row the next one begins."""
    rows = worklist.page(session, service_id, limit + 1, after)
    some = rows[:limit]
    found = [
        WorklistRow(str(row.notification_uid), told) for row, told in zip(some, _reports(session, some), strict=True)
    ]
    return found, some[-1].id if len(rows) > limit else None


def _reports(session: Session, rows: Sequence[Obligation]) -> list[ObligationReport]:
    steps: dict[int, list[ObligationStep]] = {row.id: [] for row in rows}
    wanted = select(ObligationStep).where(ObligationStep.obligation_id.in_(steps))
    for step in session.scalars(wanted.order_by(ObligationStep.obligation_id, ObligationStep.number)):
        steps[step.obligation_id].append(step)
    made = _tickets(session, [step for some in steps.values() for step in some if _kind(step) == "ticket"])
    return [_report(row, steps[row.id], made.get(row.id)) for row in rows]


def _tickets(session: Session, steps: Sequence[ObligationStep]) -> dict[int, TicketReport]:
    """Return the tickets of obligations by the row of these; nothing is asked where there are none."""
    if not steps:
        return {}
    columns = (Notification.uid, Delivery.status, Delivery.provider_message_id, Delivery.error)
    wanted = select(*columns).join(Delivery, Delivery.notification_id == Notification.id)
    uids = [step.notification_uid for step in steps]
    rows = session.execute(wanted.where(Notification.uid.in_(uids)).order_by(Delivery.id.desc()))
    found = {uid: (status, number, error) for uid, status, number, error in rows}  # of several desks, the first
    nothing = (None, None, None)
    return {step.obligation_id: _ticket(step, *found.get(step.notification_uid, nothing)) for step in steps}


def _ticket(step: ObligationStep, status: str | None, number: str | None, error: str | None) -> TicketReport:
    return TicketReport(
        state=StepState(step.state),
        notification_id=str(step.notification_uid) if status is not None else None,
        status=status,
        number=number,
        detail=step.detail or error,
    )


def _report(row: Obligation, steps: Sequence[ObligationStep], ticket: TicketReport | None) -> ObligationReport:
    return ObligationReport(
        state=ObligationState(row.state),
        until=row.until,
        at_last=row.at_last,
        policy_id=row.policy_id,
        opened_at=row.opened_at,
        next_at=row.next_at,
        met_by=row.met_by,
        met_at=row.met_at,
        met_through=cast("Through | None", row.met_through),
        worklist_at=row.worklist_at,
        closed_by=row.closed_by,
        closed_at=row.ended_at if row.state == ObligationState.CLOSED.value else None,
        closed_through=cast("ClosedThrough | None", row.closed_through),
        closed_reason=row.closed_reason,
        steps=[_step(step) for step in steps],
        ticket=ticket,
    )


def _step(step: ObligationStep) -> StepReport:
    kind = _kind(step)
    is_sent = step.number == 0 or (step.content is not None and step.taken_at is not None)
    if kind == "ticket":
        is_sent = step.state == StepState.SENT.value
    return StepReport(
        kind=kind,
        after=durations.write(timedelta(seconds=step.after)),
        due_at=step.due_at,
        state=StepState(step.state),
        taken_at=step.taken_at,
        notification_id=str(step.notification_uid) if is_sent else None,
        detail=step.detail,
    )


def _kind(step: ObligationStep) -> StepKind:
    if worklist_tickets.is_ticket(step.content):
        return "ticket"
    return "worklist" if step.number and step.content is None else "message"
