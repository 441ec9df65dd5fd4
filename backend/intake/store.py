"""Storing a judged group in one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Table, update
from sqlalchemy.orm import Session

from backend.batching.hold import Joining, Moment, hold
from backend.batching.keys import Key, limits
from backend.db.driver import Insert, Select, execute, settle, uuid
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus, Priority
from backend.delivery import files
from backend.intake import repeats
from backend.intake.content import Content
from backend.intake.judge import Plan, ServiceState
from backend.intake.lookup import PRIORITY
from backend.intake.schema import ChannelIn
from backend.intake.usage import Meter
from backend.lib import ids
from backend.lib.problems import Problem

# "new", the present status of one that was there before, or why it was refused.
Result = str | Problem
Verdict = Plan | Problem

# The content of a refused notification is kept for its reader up to this many bytes.
_KEPT_WHEN_REFUSED = 65_536


_notifications = cast("Table", Notification.__table__)
_COLUMNS = (
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
)
_INSERT = Insert(_notifications, _COLUMNS, "ON CONFLICT (uid) DO NOTHING RETURNING uid, id")
_INSERT_NUMBERED = Insert(_notifications, ("id", *_COLUMNS), "ON CONFLICT (uid) DO NOTHING")
_LAST = "SELECT COALESCE(MAX(id), 0) FROM notifications"
_IDS = Select("SELECT uid, id FROM notifications WHERE uid IN ({})")
INSERT_DELIVERIES = Insert(
    cast("Table", Delivery.__table__),
    (
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
    ),
)
_THERE = "SELECT uid, id, status, accepted_at FROM notifications WHERE uid IN ({}) ORDER BY id"
_LOCK_THERE = {"sqlite": Select(_THERE), "postgresql": Select(f"{_THERE} FOR UPDATE")}


class Stored(msgspec.Struct, frozen=True):
    """What came of each notification, the messages by channel and priority, and when batches are to be looked at."""

    results: dict[UUID, Result]
    messages: Counter[tuple[str, str]]
    moments: list[Moment]


def store(session: Session, judged: Sequence[tuple[Content, Verdict]], services: Mapping[int, ServiceState]) -> Stored:
    """Store what is new: notifications with deliveries or places in batches, usage, refused ones to be read back."""
    meter = Meter(session, {service: state.daily_limit for service, state in services.items()})
    known = _claim_ids(session, judged, meter.moment)
    results: dict[UUID, Result] = {}
    deliveries: list[dict[str, Any]] = []
    joining: list[Joining] = []
    admitted: Counter[tuple[str, str]] = Counter()
    for content, verdict in judged:
        row = known[content.uid]
        if row.status_before is not None:
            results[content.uid] = row.status_before
            continue
        if isinstance(verdict, Problem):
            results[content.uid] = verdict
            continue
        wanted = messages(content, verdict)
        problem = meter.admit(content.service_id, wanted)
        results[content.uid] = problem or "new"
        if problem is None:
            for channel, count in wanted.items():
                admitted[channel, priority(content).name] += count
            if priority(content) is Priority.BATCH:
                joining += _joining(row.id, content, verdict)
            else:
                deliveries += _delivery_rows(row.id, content, verdict, meter.moment)
    _finish(session, judged, results, known, meter.moment)
    _keep_files(session, judged, results, known)
    INSERT_DELIVERIES.send(session, deliveries)
    repeats.remember(session, [one for one, _ in judged if results[one.uid] == "new"], meter.moment)
    meter.store()
    if joining:
        settle(session)
    return Stored(results, admitted, hold(session, joining) if joining else [])


def priority(content: Content) -> Priority:
    """Return the priority of a notification; a refused body that names none counts as NORMAL."""
    return PRIORITY[content.notification.priority if content.notification else "NORMAL"]


def first_status(content: Content) -> NotificationStatus:
    """Return the status with which an accepted notification begins."""
    buffered = priority(content) is Priority.BATCH
    return NotificationStatus.BUFFERED if buffered else NotificationStatus.DISPATCHED


class _Row(msgspec.Struct, frozen=True):
    """A notification's row; ``status_before`` is set when it had been accepted by someone else meanwhile."""

    id: int
    inserted: bool
    status_before: str | None


def _claim_ids(session: Session, judged: Sequence[tuple[Content, Verdict]], now: datetime) -> dict[UUID, _Row]:
    """Insert every notification, or lock the row of one that was there already.

    A row that is there at the one moment and deleted at the next, being past its retention, is inserted after all.
    """
    rows = {content.uid: _notification_row(content, verdict, now) for content, verdict in judged}
    known: dict[UUID, _Row] = {}
    while missing := [uid for uid in rows if uid not in known]:
        inserted = _insert(session, [rows[uid] for uid in missing])
        known |= {uid: _Row(identity, inserted=True, status_before=None) for uid, identity in inserted.items()}
        there = [uid for uid in missing if uid not in known]
        lock = _LOCK_THERE[session.get_bind().dialect.name]
        for uid, identity, status, accepted_at in lock.rows(session, there):
            known[uuid(uid)] = _Row(identity, inserted=False, status_before=status if accepted_at else None)
    return known


def _insert(session: Session, rows: Sequence[dict[str, Any]]) -> dict[UUID, int]:
    """Insert those rows that are not there yet; return their ids.

    SQLite has one writer, so the next ids can be given out here: asking for each would hand Python's lock to and fro
    between this thread and the event loop's.
    """
    if session.get_bind().dialect.name != "sqlite":
        return {uuid(uid): identity for uid, identity in _INSERT.run(session, rows)}
    ((last,),) = execute(session, _LAST)
    given = {row["uid"]: identity for identity, row in enumerate(rows, start=last + 1)}
    if _INSERT_NUMBERED.send(session, [{"id": given[row["uid"]], **row} for row in rows]) == len(rows):
        return given
    there = {uuid(uid): identity for uid, identity in _IDS.rows(session, given)}
    return {uid: identity for uid, identity in given.items() if there[uid] == identity}


def _notification_row(content: Content, verdict: Verdict, now: datetime) -> dict[str, Any]:
    accepted = isinstance(verdict, Plan)
    notification = content.notification
    keep = accepted or 0 < len(content.canonical) <= _KEPT_WHEN_REFUSED
    return {
        "uid": content.uid,
        "service_id": content.service_id,
        "api_client_id": content.api_client_id,
        "priority": priority(content).value,
        "aggregator_id": notification.aggregator_id if notification else None,
        "status": (first_status(content) if accepted else NotificationStatus.FAILED).value,
        "content": content.canonical.decode() if keep else None,
        "problem": None if accepted else _problem(verdict),
        "created_at": now,
        "updated_at": now,
        "accepted_at": now if accepted else None,
    }


def _problem(problem: Verdict) -> dict[str, Any] | None:
    if not isinstance(problem, Problem):
        return None
    return {
        "code": problem.code,
        "detail": problem.detail,
        "errors": [msgspec.to_builtins(error) for error in problem.errors],
    }


def _finish(
    session: Session,
    judged: Sequence[tuple[Content, Verdict]],
    results: Mapping[UUID, Result],
    known: Mapping[UUID, _Row],
    now: datetime,
) -> None:
    """Bring earlier refused rows to their new verdict, and those that the day's limit turned away to theirs."""
    for content, verdict in judged:
        row, result = known[content.uid], results[content.uid]
        last = result if isinstance(result, Problem) else verdict
        if row.status_before is not None or (row.inserted and last is verdict):
            continue
        settle(session)
        values = _notification_row(content, last, now)
        if isinstance(last, Problem):
            del values["created_at"]
        session.execute(update(Notification).where(Notification.id == row.id).values(**values))


def _keep_files(
    session: Session,
    judged: Sequence[tuple[Content, Verdict]],
    results: Mapping[UUID, Result],
    known: Mapping[UUID, _Row],
) -> None:
    new = [content for content, _ in judged if content.attached.files and results[content.uid] == "new"]
    if not new:
        return
    settle(session)
    if len(new) > 1:
        files.hold(session, {(content.service_id, digest) for content in new for digest in content.attached.files})
    for content in new:
        files.keep(session, content.service_id, known[content.uid].id, content.attached.files)


def messages(content: Content, plan: Plan) -> Counter[str]:
    """Count the messages of a plan by channel type; one that joins batches counts once for each of them.

    What a batch's message will go to is not known yet, and its members share it.
    """
    counts: Counter[str] = Counter()
    for planned in plan.channels:
        buffered = priority(content) is Priority.BATCH
        counts[planned.channel.type] += len(set(planned.channel.recipient) if buffered else planned.targets)
    return counts


def _joining(notification_id: int, content: Content, plan: Plan) -> list[Joining]:
    """List the batches that a notification joins: one for each channel and recipient."""
    return [
        Joining(key, limits(planned.template.batch), notification_id, content.uid, index, content.attached.size(index))
        for index, planned in enumerate(plan.channels)
        for key in batch_keys(content, planned.channel)
    ]


def batch_keys(content: Content, channel: ChannelIn) -> list[Key]:
    """Name the batches that a channel of a BATCH notification belongs to, one for each recipient."""
    assert content.notification is not None  # noqa: S101 - what has channels is a notification
    return [
        Key(
            service_id=content.service_id,
            aggregator_id=content.notification.aggregator_id or "",
            type=channel.type,
            recipient=recipient,
            template=channel.template_id,
            content_type=channel.content_type,
            subject=channel.subject,
        )
        for recipient in dict.fromkeys(channel.recipient)
    ]


def _delivery_rows(notification_id: int, content: Content, plan: Plan, now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "uid": ids.delivery_id(content.uid, index, target.address),
            "notification_id": notification_id,
            "service_id": content.service_id,
            "priority": priority(content).value,
            "channel_index": index,
            "type": planned.channel.type,
            "template_version_id": planned.template.version_id,
            "recipients": target.recipients,
            "address": target.address,
            "status": DeliveryStatus.QUEUED.value,
            "attempts": 0,
            "due_at": now,
            "created_at": now,
        }
        for index, planned in enumerate(plan.channels)
        for target in planned.targets
    ]
