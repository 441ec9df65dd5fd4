"""Storing many messages of a job that have been judged already: each once, however often it is asked for."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Table
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db.driver import Insert, Select, uuid
from backend.db.models.notifications import DeliveryStatus, Notification, NotificationStatus, Priority
from backend.intake.store import INSERT_DELIVERIES
from backend.intake.usage import Meter
from backend.lib import ids, metrics
from backend.lib.problems import Problem

PRIORITY = Priority.NORMAL

_KNOWN = Select("SELECT uid FROM notifications WHERE uid IN ({})")
_INSERT_NOTIFICATIONS = Insert(
    cast("Table", Notification.__table__),
    (
        "uid",
        "service_id",
        "priority",
        "status",
        "content",
        "created_at",
        "updated_at",
        "accepted_at",
        "job_id",
    ),
    "ON CONFLICT (uid) DO NOTHING RETURNING uid, id",
)


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What all messages of a job share; ``template`` is the identifier of the template version's template."""

    service_id: int
    job_id: int
    channel: Channel
    template: str
    template_version_id: int
    content_type: str
    subject: str | None


class ReadyRow(msgspec.Struct, frozen=True, kw_only=True):
    """One notification: ``uid`` is the same whenever it is asked for; ``recipient`` is what its addresses come from."""

    uid: UUID
    recipient: str
    addresses: tuple[str, ...]
    fields: dict[str, str]


class Stored(msgspec.Struct, frozen=True):
    """How many of the rows, from the first on, are stored now; ``refused`` says why not all, ``messages`` are new."""

    rows: int
    messages: int
    refused: Problem | None


def store(session: Session, whole: Batch, rows: Sequence[ReadyRow], daily_limit: int) -> Stored:
    """Store rows in their order until the day's limit turns one away; call ``count`` after the commit.

    One that was stored before is passed over and counted no second time.
    """
    meter = Meter(session, {whole.service_id: daily_limit})
    known = {uuid(uid) for (uid,) in _KNOWN.rows(session, [row.uid for row in rows])}
    fresh: list[ReadyRow] = []
    refused: Problem | None = None
    passed = 0
    for row in rows:
        if row.uid not in known:
            refused = meter.admit(whole.service_id, {whole.channel.value: len(row.addresses)})
            if refused is not None:
                break
            fresh.append(row)
        passed += 1
    _insert(session, whole, fresh, meter.moment)
    meter.store()
    return Stored(passed, sum(len(row.addresses) for row in fresh), refused)


def count(whole: Batch, stored: Stored) -> None:
    """Count what was stored among the installation's messages."""
    if stored.messages:
        metrics.messages(whole.channel.value, PRIORITY.name).inc(stored.messages)


def _insert(session: Session, whole: Batch, rows: Sequence[ReadyRow], now: datetime) -> None:
    if not rows:
        return
    inserted = _INSERT_NOTIFICATIONS.run(session, [_notification(whole, row, now) for row in rows])
    identities = {uuid(uid): identity for uid, identity in inserted}
    deliveries = [
        _delivery(whole, row, address, identities[row.uid], now)
        for row in rows
        if row.uid in identities
        for address in row.addresses
    ]
    INSERT_DELIVERIES.run(session, deliveries)


def _notification(whole: Batch, row: ReadyRow, now: datetime) -> dict[str, Any]:
    return {
        "uid": row.uid,
        "service_id": whole.service_id,
        "priority": PRIORITY.value,
        "status": NotificationStatus.DISPATCHED.value,
        "content": _content(whole, row),
        "created_at": now,
        "updated_at": now,
        "accepted_at": now,
        "job_id": whole.job_id,
    }


def _content(whole: Batch, row: ReadyRow) -> str:
    """Write the notification as a client would have sent it."""
    channel: dict[str, Any] = {
        "type": whole.channel.value,
        "recipient": [row.recipient],
        "content_type": whole.content_type,
        "template_id": whole.template,
        "fields": row.fields,
    }
    if whole.subject:
        channel["subject"] = whole.subject
    return json.dumps({"channels": [channel], "priority": PRIORITY.name}, ensure_ascii=False, separators=(",", ":"))


def _delivery(whole: Batch, row: ReadyRow, address: str, identity: int, now: datetime) -> dict[str, Any]:
    return {
        "uid": ids.delivery_id(row.uid, 0, address),
        "notification_id": identity,
        "service_id": whole.service_id,
        "priority": PRIORITY.value,
        "channel_index": 0,
        "type": whole.channel.value,
        "template_version_id": whole.template_version_id,
        "recipients": [row.recipient],
        "address": address,
        "status": DeliveryStatus.QUEUED.value,
        "attempts": 0,
        "due_at": now,
        "created_at": now,
    }
