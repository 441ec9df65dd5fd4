"""Ending waits: what has waited for a window, or the end of a mute, goes to the queue when its moment has come.

The rules of that moment decide: what they hold back goes on waiting, and what a mute lets nobody have any more, since
it is too old, is cancelled. Its addresses and its template version are those with which it was accepted.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, case, select, update
from sqlalchemy.orm import Session

from backend.db import events
from backend.db.models.notifications import Delivery, DeliveryStatus, Priority
from backend.db.statements import one_of
from backend.delivery.outcomes import deferring, states
from backend.lib import clock
from backend.obligations import goals
from backend.registry import lookup, sending
from backend.registry.sending import Wait

CHUNK = 500


class _Row(msgspec.Struct, frozen=True):
    id: int
    notification_id: int
    service_id: int
    priority: int
    type: str
    template_version_id: int
    recipients: list[str]
    created_at: datetime
    waits: str
    waits_why: str | None


_COLUMNS = tuple(getattr(Delivery, name) for name in _Row.__struct_fields__)


def due(session: Session) -> Sequence[int]:
    """List messages whose wait may be over, the longest due first: a look that locks nothing."""
    return session.scalars(
        select(Delivery.id).where(_is_due()).order_by(Delivery.due_at, Delivery.id).limit(CHUNK)
    ).all()


def _is_due() -> ColumnElement[bool]:
    scheduled = one_of(Delivery.status, [DeliveryStatus.SCHEDULED])
    return and_(scheduled, Delivery.due_at <= clock.now(), Delivery.waits.is_not(None))


def release(session: Session, delivery_ids: Collection[int]) -> dict[int, set[str]]:
    """End the waits of these messages; return the channels of what goes to the queue now, by priority."""
    wanted = select(*_COLUMNS).where(Delivery.id.in_(delivery_ids), _is_due()).order_by(Delivery.id)
    rows = [_Row(*row) for row in session.execute(wanted.with_for_update(skip_locked=True))]
    versions = lookup.versions(session, {row.template_version_id for row in rows})
    rules = {service: sending.present(session, service) for service in {row.service_id for row in rows}}
    needless = goals.needless(session, {row.notification_id for row in rows})
    now = clock.now()
    waits: dict[int, Wait] = {}
    dropped: list[tuple[_Row, str]] = []
    free: list[_Row] = []
    for row in rows:
        template, high = versions[row.template_version_id].identifier, row.priority == Priority.HIGH
        wait = rules[row.service_id].wait(template, row.recipients, high=high, moment=now)
        why = rules[row.service_id].dropped(template, row.recipients, row.created_at) if row.waits == "muted" else None
        if row.notification_id in needless:
            dropped.append((row, goals.NEEDLESS))
        elif wait is not None:
            waits[row.id] = wait
        elif why is not None:
            dropped.append((row, why))
        else:
            free.append(row)
    _write(session, free, dropped, now)
    deferring.defer(session, waits)
    deferring.tell(
        session, [(row.notification_id, None, waits[row.id]) for row in rows if _is_news(row, waits.get(row.id))]
    )
    states.refresh(session, {row.notification_id for row in rows})
    going: dict[int, set[str]] = defaultdict(set)
    for row in free:
        going[row.priority].add(row.type)
    return going


def _is_news(row: _Row, wait: Wait | None) -> bool:
    return wait is not None and (wait.code, wait.detail) != (row.waits, row.waits_why)


def _write(session: Session, free: Sequence[_Row], dropped: Sequence[tuple[_Row, str]], now: datetime) -> None:
    tried = case((Delivery.attempts > 0, DeliveryStatus.RETRYING.value), else_=DeliveryStatus.QUEUED.value)
    over: dict[str, Any] = {"waits": None, "waits_why": None}
    _change(session, free, over | {"status": tried, "requeued_at": now})
    _change(session, [row for row, _ in dropped], over | {"status": DeliveryStatus.CANCELLED.value})
    whole = dict.fromkeys(row.notification_id for row in free)
    over_now = "Its wait is over: it goes to the queue."
    told = [events.event("due", over_now, notification_id=one, at=now) for one in whole]
    told += [
        events.event("cancelled", why, notification_id=row.notification_id, delivery_id=row.id, at=now)
        for row, why in dropped
    ]
    events.write(session, told)


def _change(session: Session, rows: Sequence[_Row], values: dict[str, Any]) -> None:
    if rows:
        change = update(Delivery).where(Delivery.id.in_([row.id for row in rows])).values(values)
        session.execute(change.execution_options(synchronize_session=False))
