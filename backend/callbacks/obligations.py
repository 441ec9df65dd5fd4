"""Writing down what client systems are to be told of their obligations and matters, in the change's own transaction.

An obligation outlives its notification, so what is told of it is read from itself alone.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import func, select, union_all
from sqlalchemy.orm import Session

from backend.callbacks import emit, subscriptions
from backend.db.models.accounts import ApiClient
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.callbacks import CallbackEndpoint
from backend.db.models.matters import Resolution
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.obligations import Obligation, ObligationState, ObligationStep
from backend.lib import clock, durations, settings

StepNews = Literal["obligation.step_taken", "obligation.step_refused"]
RESOLVED = "matter.resolved"
ENDED = {
    ObligationState.MET.value: "obligation.met",
    ObligationState.WORKLIST.value: "obligation.worklist",
    ObligationState.CLOSED.value: "obligation.closed",
}
_CHUNK = 500
_MAX_DETAIL = 1000


def changed(session: Session, obligation_ids: Collection[int]) -> None:
    """Write down that these obligations are met, on the worklist or closed, for those of their clients who listen."""
    identities = sorted(obligation_ids) if subscriptions.wanted() else []
    for start in range(0, len(identities), _CHUNK):
        rows = session.execute(_listening().where(Obligation.id.in_(identities[start : start + _CHUNK])))
        told = [_message(one, endpoint, ENDED[one.state], {}) for one, endpoint in rows if one.state in ENDED]
        emit.write(session, told)


def step(session: Session, step_id: int, kind: StepNews) -> None:
    """Write down that a step was taken, or could not be."""
    if not subscriptions.wanted():
        return
    rows = session.execute(
        _listening()
        .add_columns(ObligationStep)
        .join(ObligationStep, ObligationStep.obligation_id == Obligation.id)
        .where(ObligationStep.id == step_id)
    )
    emit.write(session, [_message(one, endpoint, kind, {"step": _step(it)}) for one, endpoint, it in rows])


def resolved(session: Session, resolution: Resolution, obligations: int) -> None:
    """Write down that a matter is resolved, and how many obligations ended with it.

    That is told to every client that sent something about it, with the last notification that was its own.
    """
    if not subscriptions.wanted():
        return
    told = {
        "matter": resolution.name,
        "resolved_at": clock.iso(resolution.resolved_at),
        "resolved_by": resolution.resolved_by,
        "note": (resolution.note or "")[:_MAX_DETAIL] or None,
        "obligations_closed": obligations,
    }
    links = {"matter": emit.matter_link(resolution.name)}
    rows = session.execute(_senders(resolution.matter_id)).all()
    emit.write(session, [emit.message(one.endpoint_id, RESOLVED, one.uid, told, links) for one in rows])


def _listening() -> Any:
    """Select obligations whose client has an address that is on, with that address."""
    return (
        select(Obligation, CallbackEndpoint.id)
        .join(CallbackEndpoint, CallbackEndpoint.api_client_id == Obligation.api_client_id)
        .join(ApiClient, ApiClient.id == Obligation.api_client_id)
        .where(CallbackEndpoint.disabled_at.is_(None), ApiClient.revoked_at.is_(None))
        .execution_options(populate_existing=True)
        # An address that is being removed at this moment is waited for, and then not there.
        .with_for_update(read=True, key_share=True, of=CallbackEndpoint)
    )


def _senders(matter_id: UUID) -> Any:
    """Select the addresses of the clients that sent something about a matter, each with its last notification."""
    alone = select(Delivery.notification_id.label("id")).where(
        Delivery.matter_id == matter_id, Delivery.notification_id.is_not(None)
    )
    gathered = (
        select(BatchMember.notification_id.label("id"))
        .join(Batch, Batch.id == BatchMember.batch_id)
        .where(Batch.matter_id == matter_id)
    )
    about = union_all(alone, gathered).subquery()
    last = (
        select(Notification.api_client_id, func.max(Notification.id).label("id"))
        .join(about, about.c.id == Notification.id)
        .where(Notification.api_client_id.is_not(None))
        .group_by(Notification.api_client_id)
        .subquery()
    )
    return (
        select(CallbackEndpoint.id.label("endpoint_id"), Notification.uid)
        .join(last, last.c.api_client_id == CallbackEndpoint.api_client_id)
        .join(Notification, Notification.id == last.c.id)
        .join(ApiClient, ApiClient.id == CallbackEndpoint.api_client_id)
        .where(CallbackEndpoint.disabled_at.is_(None), ApiClient.revoked_at.is_(None))
        .with_for_update(read=True, key_share=True, of=CallbackEndpoint)
    )


def _message(owed: Obligation, endpoint_id: int, kind: str, more: dict[str, Any]) -> dict[str, Any]:
    told = {
        "state": owed.state,
        "until": owed.until,
        "policy_id": owed.policy_id,
        "opened_at": clock.iso(owed.opened_at),
        "next_at": _moment(owed.next_at),
        "met_by": owed.met_by,
        "met_at": _moment(owed.met_at),
        "met_through": owed.met_through,
        "worklist_at": _moment(owed.worklist_at),
        "closed_by": owed.closed_by,
        "closed_through": owed.closed_through,
        "closed_reason": (owed.closed_reason or "")[:_MAX_DETAIL] or None,
    }
    links = {"self": f"{settings.current().base_url}/notifications/v1/{owed.notification_uid}"}
    return emit.message(endpoint_id, kind, owed.notification_uid, {"obligation": told, **more}, links)


def _step(row: ObligationStep) -> dict[str, Any]:
    return {
        "number": row.number,
        "after": durations.write(timedelta(seconds=row.after)),
        "notification_id": str(row.notification_uid),
        "detail": (row.detail or "")[:_MAX_DETAIL] or None,
    }


def _moment(at: datetime | None) -> str | None:
    return clock.iso(at) if at is not None else None
