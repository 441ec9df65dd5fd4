"""The histories of notifications, batches and deliveries: whatever happens to one of them is written here."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Table
from sqlalchemy.orm import Session

from backend.db.driver import Insert
from backend.db.models.notifications import Event
from backend.lib import clock

_COLUMNS = ("notification_id", "batch_id", "delivery_id", "at", "kind", "attempt", "provider", "detail")
_INSERT = Insert(cast("Table", Event.__table__), _COLUMNS)


def event(  # noqa: PLR0913 - as many as an event has members, each named at the call
    kind: str,
    detail: str | None,
    *,
    notification_id: int | None = None,
    batch_id: int | None = None,
    delivery_id: int | None = None,
    attempt: int | None = None,
    provider: str | None = None,
    at: datetime | None = None,
) -> dict[str, Any]:
    """Return the row of an event, of now or ``at`` a moment in UTC; what it happened to is given by its row."""
    return {
        "notification_id": notification_id,
        "batch_id": batch_id,
        "delivery_id": delivery_id,
        "at": at or clock.now(),
        "kind": kind,
        "attempt": attempt,
        "provider": provider,
        "detail": detail,
    }


def of_deliveries(
    kind: str,
    detail: str,
    deliveries: Iterable[tuple[int | None, int | None, int | None]],
    at: datetime | None = None,
) -> list[dict[str, Any]]:
    """Return the same event of several deliveries, each given with the notification and the batch that it is of."""
    moment = at or clock.now()
    return [
        event(kind, detail, delivery_id=delivery, notification_id=notification, batch_id=batch, at=moment)
        for delivery, notification, batch in deliveries
    ]


def write(session: Session, events: Sequence[dict[str, Any]]) -> None:
    """Write events, also in a pipeline."""
    if events:
        session.flush()
        _INSERT.send(session, events)
