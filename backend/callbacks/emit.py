"""Writing down what client systems are to be told, in the transaction of the change itself.

Where no client has an address nothing is written. That is known for a few seconds at most; for what changed in the
first moments of an address, ``catch_up`` looks back.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, Select, and_, exists, select
from sqlalchemy.orm import Session

from backend.callbacks import subscriptions, tasks
from backend.db import commits
from backend.db.models.accounts import ApiClient
from backend.db.models.callbacks import CallbackEndpoint, CallbackMessage
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus, Priority
from backend.db.statements import insert
from backend.lib import clock, settings

TYPES = {
    NotificationStatus.SENT.value: "notification.sent",
    NotificationStatus.DELIVERED.value: "notification.delivered",
    NotificationStatus.PARTIAL.value: "notification.partial",
    NotificationStatus.FAILED.value: "notification.failed",
    NotificationStatus.CANCELLED.value: "notification.cancelled",
}
DELIVERY_FAILED = "delivery.failed"
AT_RISK = "notification.at_risk"
# What else is told of a notification, its obligation and its matter says nothing of its status.
_OF_STATUS = "notification.%"
# Longer than any process may still believe that there is no address.
_LOOK_BACK = timedelta(seconds=30)
_CHUNK = 500
_MAX_ERROR = 1000


def changed(session: Session, notification_ids: Collection[int]) -> None:
    """Write down that these notifications have another status now, for those of their clients who want to hear."""
    identities = sorted(notification_ids)
    for start in range(0, len(identities), _CHUNK):
        among = Notification.id.in_(identities[start : start + _CHUNK])
        write(session, [_of_notification(row) for row in session.execute(_notifications(among))])


def delivery_failures(session: Session, notification_ids: Collection[int]) -> None:
    """Write down the failed deliveries of these notifications, each of which is told once.

    What was told already is left out by the database: of ten thousand that fail one after the other, all of those
    before would be written anew each time.
    """
    columns = (Delivery.uid.label("delivery_uid"), Delivery.type, Delivery.recipients, Delivery.error)
    told = exists().where(
        CallbackMessage.endpoint_id == CallbackEndpoint.id, CallbackMessage.delivery_uid == Delivery.uid
    )
    identities = sorted(notification_ids)
    for start in range(0, len(identities), _CHUNK):
        among = Notification.id.in_(identities[start : start + _CHUNK])
        query = _notifications(among).join(Delivery, Delivery.notification_id == Notification.id).add_columns(*columns)
        failed = query.where(Delivery.status == DeliveryStatus.FAILED.value, ~told)
        write(session, [_of_delivery(row) for row in session.execute(failed)])


def at_risk(session: Session, faults: Mapping[int, str]) -> None:
    """Write down which scheduled notifications, by their rows, could not be sent as things are, and why."""
    identities = sorted(faults) if subscriptions.wanted() else []
    for start in range(0, len(identities), _CHUNK):
        among = Notification.id.in_(identities[start : start + _CHUNK])
        rows = session.execute(_notifications(among)).all()
        told = [(row, {"status": row.status, "error": faults[row.id][:_MAX_ERROR]}) for row in rows]
        write(session, [_message(row, AT_RISK, one) for row, one in told])


def anyone_new(session: Session) -> bool:
    """Tell whether an address was switched on a moment ago."""
    return session.scalar(select(exists().where(_new()))) or False


def catch_up(session: Session) -> None:
    """Write down what processes that had not heard of a new address left out."""
    fresh = select(CallbackEndpoint.service_id, CallbackEndpoint.id, CallbackEndpoint.enabled_at).where(_new())
    for service_id, endpoint_id, enabled_at in session.execute(fresh).all():
        told = exists().where(
            CallbackMessage.endpoint_id == endpoint_id,
            CallbackMessage.notification_uid == Notification.uid,
            CallbackMessage.type.like(_OF_STATUS),
        )
        missed = and_(
            Notification.service_id == service_id,
            Notification.updated_at >= enabled_at,
            CallbackEndpoint.id == endpoint_id,
            ~told,
        )
        rows = session.execute(_notifications(missed).order_by(Notification.id.desc()).limit(_CHUNK)).all()
        delivery_failures(session, [row.id for row in rows])
        write(session, [_of_notification(row) for row in rows])


def _new() -> ColumnElement[bool]:
    return and_(CallbackEndpoint.disabled_at.is_(None), CallbackEndpoint.enabled_at > clock.now() - _LOOK_BACK)


def _notifications(among: ColumnElement[bool]) -> Select[Any]:
    """Select accepted notifications whose client has an address that is on."""
    columns = (Notification.id, Notification.uid, Notification.status, Notification.priority)
    query = (
        select(*columns, Notification.aggregator_id, CallbackEndpoint.id.label("endpoint_id"))
        .join(CallbackEndpoint, CallbackEndpoint.api_client_id == Notification.api_client_id)
        .join(ApiClient, ApiClient.id == Notification.api_client_id)
        .where(
            among,
            Notification.accepted_at.is_not(None),
            CallbackEndpoint.disabled_at.is_(None),
            ApiClient.revoked_at.is_(None),
        )
        # An address that is being removed at this moment is waited for, and then not there.
        .with_for_update(read=True, key_share=True, of=CallbackEndpoint)
    )
    return cast("Select[Any]", query)


def _of_notification(row: Any) -> dict[str, Any] | None:
    kind = TYPES.get(row.status)
    return None if kind is None else _message(row, kind, {"status": row.status})


def _of_delivery(row: Any) -> dict[str, Any]:
    told = {
        "delivery_id": str(row.delivery_uid),
        "channel": row.type,
        "recipients": row.recipients[:50],
        "error": (row.error or "")[:_MAX_ERROR],
    }
    return _message(row, DELIVERY_FAILED, told, row.delivery_uid)


def _message(row: Any, kind: str, told: dict[str, Any], delivery_uid: UUID | None = None) -> dict[str, Any]:
    """Return the row of a message about a notification or one of its deliveries."""
    known = {"priority": Priority(row.priority).name, "aggregator_id": row.aggregator_id}
    links = {"self": f"{settings.current().base_url}/notifications/v1/{row.uid}"}
    return message(row.endpoint_id, kind, row.uid, known | told, links, delivery_uid=delivery_uid)


def message(  # noqa: PLR0913 - what a message says, and of what
    endpoint_id: int,
    kind: str,
    notification_uid: UUID,
    told: Mapping[str, Any],
    links: Mapping[str, str],
    *,
    delivery_uid: UUID | None = None,
) -> dict[str, Any]:
    """Return the row of a message; its payload stays far below 20 kB, and names no address, which may be a secret."""
    now = clock.now()
    data = {"notification_id": str(notification_uid), **told, "links": links}
    return {
        "uid": f"msg_{uuid4().hex}",
        "endpoint_id": endpoint_id,
        "type": kind,
        "notification_uid": notification_uid,
        "delivery_uid": delivery_uid,
        "payload": json.dumps({"type": kind, "timestamp": clock.iso(now), "data": data}, ensure_ascii=False),
        "status": "PENDING",
        "attempts": 0,
        "due_at": now,
        "created_at": now,
    }


def matter_link(matter: str) -> str:
    """Return the address at which a matter is read."""
    return f"{settings.current().base_url}/notifications/v1/matters/{quote(matter, safe='')}"


def write(session: Session, messages: Iterable[dict[str, Any] | None]) -> None:
    """Store messages, and wake those who post them after the commit."""
    rows: Sequence[dict[str, Any]] = [one for one in messages if one is not None]
    if not rows:
        return
    session.execute(insert(session, CallbackMessage).on_conflict_do_nothing(), rows)
    commits.after(session, "callbacks", tasks.wake)
