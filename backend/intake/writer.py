"""The one writer of notifications and of the deliveries that they begin with: what is accepted is stored by this.

These are the statements of accepting that go to the driver as they are.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.orm import Session

from backend.db.driver import Insert, Select, uuid
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification

_NOTIFICATION = (
    "uid",
    "service_id",
    "api_client_id",
    "priority",
    "aggregator_id",
    "status",
    "content",
    "problem",
    "created_at",
    "updated_at",
    "accepted_at",
    "send_at",
    "mode",
    "job_id",
)
_notifications = cast("Table", Notification.__table__)
_INSERT = Insert(_notifications, _NOTIFICATION, "ON CONFLICT (uid) DO NOTHING RETURNING uid, id")
_IDS = Select("SELECT uid, id FROM notifications WHERE uid IN ({})")
_THERE = "SELECT uid, id, status, accepted_at FROM notifications WHERE uid IN ({}) ORDER BY id"
_LOCK_THERE = {"sqlite": Select(_THERE), "postgresql": Select(f"{_THERE} FOR UPDATE")}

_DELIVERY = (
    "uid",
    "notification_id",
    "service_id",
    "priority",
    "channel_index",
    "type",
    "template_version_id",
    "recipients",
    "address",
    "status",
    "attempts",
    "due_at",
    "created_at",
    "matter_id",
    "mode",
    "meant_for",
)
_deliveries = cast("Table", Delivery.__table__)
_INSERT_DELIVERIES = Insert(_deliveries, _DELIVERY)
# Apart, so that what may leave at once has no columns more for what may not.
_INSERT_WAITING = Insert(_deliveries, (*_DELIVERY, "waits", "waits_why"))


def notifications(session: Session, rows: Sequence[dict[str, Any]]) -> dict[UUID, int]:
    """Insert those notifications that are not there yet, each with all its columns; return their ids."""
    return {uuid(uid): identity for uid, identity in _INSERT.run(session, rows)}


def known(session: Session, uids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the ids of those notifications that are there."""
    return {uuid(uid): identity for uid, identity in _IDS.rows(session, uids)}


def locked(session: Session, uids: Sequence[UUID]) -> dict[UUID, tuple[int, str | None]]:
    """Lock those notifications that are there; return their ids, and the status of each that was accepted."""
    rows = _LOCK_THERE[session.get_bind().dialect.name].rows(session, uids)
    return {uuid(uid): (identity, status if accepted_at else None) for uid, identity, status, accepted_at in rows}


def delivery(notification_id: int, moment: datetime, **own: Any) -> dict[str, Any]:
    """Return the row of a delivery that may leave at ``moment``; ``own`` is what it has of its own."""
    return {
        "notification_id": notification_id,
        "status": DeliveryStatus.QUEUED.value,
        "attempts": 0,
        "due_at": moment,
        "created_at": moment,
        "matter_id": None,
        "meant_for": None,
        **own,
    }


def deliveries(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert deliveries, those that wait for a window or the end of a mute among them."""
    held = [row for row in rows if "waits" in row]
    _INSERT_DELIVERIES.send(session, [row for row in rows if "waits" not in row] if held else rows)
    _INSERT_WAITING.send(session, held)
