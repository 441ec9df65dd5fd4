"""Keeping who sent again what had failed, so that a failure leads to that and that back to the failure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, delete, exists, insert, or_, select
from sqlalchemy.orm import Session

from backend.accounts.audit import Actor
from backend.db.models.resends import Resend, ResendItem
from backend.delivery.outcomes.resend import Resent
from backend.lib import clock, ids


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One notification or one batch, given by its row, and what became of its messages; see ``ResendItem``."""

    notification_id: int | None = None
    batch_id: int | None = None
    messages: list[Resent] = []
    refused: str | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One time that something was sent again: its public id, by whom and when."""

    uid: UUID
    by: str
    at: datetime


def items(messages: Iterable[Resent]) -> list[Item]:
    """Gather messages by the notification or batch that they belong to."""
    found: dict[tuple[int | None, int | None], list[Resent]] = {}
    for one in messages:
        found.setdefault((one.notification_id, one.batch_id), []).append(one)
    return [
        Item(notification_id=notification_id, batch_id=batch_id, messages=some)
        for (notification_id, batch_id), some in found.items()
    ]


def record(  # noqa: PLR0913 - what an entry is made of, each named at the call
    session: Session,
    service_id: int,
    by: Actor,
    found: Sequence[Item],
    *,
    reason: str | None = None,
    recipient: str | None = None,
) -> UUID:
    """Keep what was sent again; return the public id of the entry. A group of failures has a reason and a recipient."""
    entry = Resend(
        uid=ids.random_id(), service_id=service_id, sent_by=by.name, at=clock.now(), reason=reason, recipient=recipient
    )
    session.add(entry)
    session.flush()
    rows = [
        {
            "resend_id": entry.id,
            "notification_id": item.notification_id,
            "batch_id": item.batch_id,
            "messages": [_written(one) for one in item.messages],
            "refused": item.refused,
        }
        for item in found
    ]
    if rows:
        session.execute(insert(ResendItem), rows)
    return entry.uid


def _written(one: Resent) -> dict[str, Any]:
    plain = msgspec.structs.replace(one, notification_id=None, batch_id=None)  # which the item itself says
    written: dict[str, Any] = msgspec.to_builtins(plain)
    return written


def of(session: Session, notification_id: int | None, batch_ids: Sequence[int]) -> list[Entry]:
    """Say when a notification, or one of these batches, was sent again, the latest first; given by their rows."""
    mine: list[ColumnElement[bool]] = [ResendItem.batch_id.in_(batch_ids)]
    if notification_id is not None:
        mine.append(ResendItem.notification_id == notification_id)
    wanted = select(Resend).where(Resend.id.in_(select(ResendItem.resend_id).where(or_(*mine))))
    found = session.scalars(wanted.order_by(Resend.id.desc()).limit(_MOST))
    return [Entry(uid=one.uid, by=one.sent_by, at=one.at) for one in found]


_MOST = 20


def purge(session: Session, which: ColumnElement[bool]) -> None:
    """Delete these items, and the entries that have no others."""
    touched = set(session.scalars(delete(ResendItem).where(which).returning(ResendItem.resend_id)))
    if touched:
        left = exists().where(ResendItem.resend_id == Resend.id)
        session.execute(delete(Resend).where(Resend.id.in_(touched), ~left))
