"""Writing down what a release has decided: a few statements for all of it, in the transaction that holds the rows."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Table, delete, update
from sqlalchemy.orm import Session

from backend.batching.join import Joining, Moment, join
from backend.db import events
from backend.db.models.notifications import (
    OTHER_LANGUAGE,
    Delivery,
    DeliveryStatus,
    Event,
    Notification,
    NotificationStatus,
)
from backend.db.statements import for_dialect, listed
from backend.db.types import sealed
from backend.delivery.outcomes import states
from backend.intake import quotas
from backend.lib import clock, ids
from backend.scheduling.due import Ended, Row

_deliveries = cast("Table", Delivery.__table__)
_events = cast("Table", Event.__table__)
_notifications = cast("Table", Notification.__table__)
_THESE = listed(_deliveries.c.id, "ids")
_PURGED_ROWS = delete(_deliveries).where(_THESE)
_LOOSEN_EVENTS = update(_events).where(listed(_events.c.delivery_id, "ids")).values(delivery_id=None)
# What joins a batch is BUFFERED; what was cancelled of the notification before stays so.
_BUFFERED = (
    update(_notifications).where(listed(_notifications.c.id, "ids")).values(status=NotificationStatus.BUFFERED.value)
)


class Added(msgspec.Struct, frozen=True):
    """A message to an address that has come to a recipient since its notification was accepted.

    ``like`` is another message of the same channel.
    """

    uid: UUID
    accepted_at: datetime
    like: Row
    address: str
    recipients: list[str]


class Changes:
    """What is to be written at the end of a release."""

    def __init__(self) -> None:
        self._queued: dict[int, list[Row]] = defaultdict(list)
        self._added: dict[int, list[Added]] = defaultdict(list)
        self._ended: list[Ended] = []
        self._joining: list[tuple[Row, Joining]] = []
        self._told: dict[tuple[int, str], None] = {}

    def queue(self, rows: Iterable[Row], version_id: int) -> None:
        """Let messages go to the queue, made from this template version."""
        self._queued[version_id] += rows

    def add(self, added: Added, version_id: int) -> None:
        """Let a message go to one address more."""
        self._added[version_id].append(added)

    def end(self, ended: Iterable[Ended]) -> None:
        """Let messages go no further."""
        self._ended += ended

    def tell(self, notification_id: int, missed: Iterable[str]) -> None:
        """Say at a notification that somebody gets another language than the one asked for, once for each."""
        self._told |= dict.fromkeys((notification_id, sentence) for sentence in missed)

    def join(self, row: Row, joining: Joining) -> None:
        """Let a row become a membership in a batch."""
        self._joining.append((row, joining))

    def queued_messages(self) -> dict[int, set[str]]:
        """Return the channels of what goes to the queue, by priority, as workers are woken."""
        found: dict[int, set[str]] = defaultdict(set)
        for row in self._going():
            found[row.priority].add(row.type)
        return found

    def _going(self) -> Iterable[Row]:
        yield from (row for rows in self._queued.values() for row in rows)
        yield from (one.like for some in self._added.values() for one in some)

    def write(self, session: Session) -> list[Moment]:
        """Write all of it; return when batches are to be looked at."""
        now = clock.now()
        self._write_queued(session, now)
        self._write_added(session, now)
        self._write_ended(session, now)
        moments = self._write_joined(session, now)
        own = {row.notification_id for row in self._going()} | {one.row.notification_id for one in self._ended}
        states.refresh(session, own)
        return moments

    def _write_queued(self, session: Session, now: datetime) -> None:
        for version_id, rows in sorted(self._queued.items()):
            values = {
                "status": DeliveryStatus.QUEUED.value,
                "template_version_id": version_id,
                "error": None,
                "requeued_at": now,
            }
            _change(session, rows, values)
        whole = dict.fromkeys(row.notification_id for rows in self._queued.values() for row in rows)
        detail = "Its moment has come: it goes to the queue."
        events.write(session, [_event(one, None, now, "due", detail) for one in whole])
        events.write(session, [_event(one, None, now, OTHER_LANGUAGE, said) for one, said in self._told])

    def _write_added(self, session: Session, now: datetime) -> None:
        """Store new messages, and count them to the day on which their notification was accepted."""
        counts: Counter[tuple[int, date, str]] = Counter()
        statement = for_dialect(session.get_bind().dialect.name, _deliveries).on_conflict_do_nothing()
        for version_id, some in sorted(self._added.items()):
            rows = [_row(one, version_id, now) for one in some]
            back = statement.returning(_deliveries.c.service_id, _deliveries.c.created_at, _deliveries.c.type)
            for service_id, created_at, kind in session.connection().execute(back, rows):
                counts[service_id, created_at.date(), kind] += 1
        quotas.add(session, counts)

    def _write_ended(self, session: Session, now: datetime) -> None:
        groups: dict[tuple[DeliveryStatus, str], list[Row]] = defaultdict(list)
        for one in self._ended:
            groups[one.status, one.why].append(one.row)
        for (status, why), rows in groups.items():
            failed = status is DeliveryStatus.FAILED
            _change(session, rows, {"status": status.value, "error": why if failed else None})
            kind = "failed" if failed else "cancelled"
            events.write(session, [_event(row.notification_id, row.id, now, kind, why) for row in rows])

    def _write_joined(self, session: Session, now: datetime) -> list[Moment]:
        if not self._joining:
            return []
        connection = session.connection()
        gone = {"ids": [row.id for row, _ in self._joining]}
        connection.execute(_LOOSEN_EVENTS, gone)
        connection.execute(_PURGED_ROWS, gone)
        moments = join(session, [joining for _, joining in self._joining])
        whole = sorted({joining.notification_id for _, joining in self._joining})
        connection.execute(_BUFFERED.values(updated_at=now), {"ids": whole})
        return moments


def _change(session: Session, rows: Sequence[Row], values: dict[str, Any]) -> None:
    statement = update(_deliveries).where(_THESE).values(**values)
    session.connection().execute(statement, {"ids": [row.id for row in rows]})


def _event(notification_id: int, delivery_id: int | None, at: datetime, kind: str, detail: str) -> dict[str, Any]:
    return events.event(kind, detail, notification_id=notification_id, delivery_id=delivery_id, at=at)


def _row(one: Added, version_id: int, now: datetime) -> dict[str, Any]:
    like = one.like
    return {
        "uid": ids.delivery_id(one.uid, like.channel_index, sealed(one.address)),
        "notification_id": like.notification_id,
        "service_id": like.service_id,
        "priority": like.priority,
        "channel_index": like.channel_index,
        "type": like.type,
        "template_version_id": version_id,
        "recipients": one.recipients,
        "address": one.address,
        "status": DeliveryStatus.QUEUED.value,
        "attempts": 0,
        "due_at": now,
        "created_at": one.accepted_at,
        "requeued_at": now,
        "matter_id": like.matter_id,
        "mode": like.mode,
    }
