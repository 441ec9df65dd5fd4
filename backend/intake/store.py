"""Storing a validated group in one transaction."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import update
from sqlalchemy.orm import Session

from backend.batching.join import Joining, Moment, join
from backend.batching.keys import Key, limits
from backend.db import events
from backend.db.driver import end_pipeline
from backend.db.models.accounts import Mode
from backend.db.models.notifications import OTHER_LANGUAGE, Notification, NotificationStatus, Priority
from backend.delivery.content import file_links, files
from backend.intake import equal_messages, obligations, quotas, repeats, writer
from backend.intake.content import Content
from backend.intake.equal_messages import Taking
from backend.intake.quotas import Meter
from backend.intake.schema import ChannelIn
from backend.intake.validate import Plan, ServiceState
from backend.lib import clock
from backend.lib.problems import Problem
from backend.obligations import opening
from backend.search import again

# "new", the present status of one that was there before, or why it was refused.
StoreResult = str | Problem
Validation = Plan | Problem
# The kind of the event that says so of what joins a digest that it did not ask for.
JOINS_DIGEST = "joins_digest"
# The content of a refused notification is kept for its reader up to this many bytes.
_KEPT_WHEN_REFUSED = 65_536


class Stored(msgspec.Struct, frozen=True):
    """What came of each notification that is not to be validated again.

    ``messages`` counts them by channel and priority, ``moments`` are when batches are to be looked at.
    ``tests`` are those of the messages whose mode is ``test``.
    """

    results: dict[UUID, StoreResult]
    messages: Counter[tuple[str, str]]
    tests: Counter[tuple[str, str]]
    moments: list[Moment]


def store(
    session: Session, validated: Sequence[tuple[Content, Validation]], services: Mapping[int, ServiceState]
) -> Stored:
    """Store what is new: notifications, deliveries, memberships in batches, usage, refused ones to be read back."""
    meter = Meter(session, {service: state.daily_limit for service, state in services.items()})
    validated, _, throttled = quotas.admit(session, validated, services, meter.moment)
    equal = Taking(session)
    validated = list(_unequal(validated, services, equal))
    known = _claim_ids(session, validated, meter.moment)
    results: dict[UUID, StoreResult] = {}
    deliveries: list[dict[str, Any]] = []
    members: list[Joining] = []
    admitted: Counter[tuple[str, str]] = Counter()
    tests: Counter[tuple[str, str]] = Counter()
    for content, validation in validated:
        row = known[content.uid]
        if row.status_before is not None:
            results[content.uid] = row.status_before
            continue
        if isinstance(validation, Problem):
            results[content.uid] = validation
            continue
        wanted = messages(content, validation)
        problem = meter.admit(content.service_id, wanted, content.manner.mode)
        results[content.uid] = problem or "new"
        if problem is None:
            for channel, count in wanted.items():
                admitted[channel, content.priority.name] += count
                if content.manner.mode is Mode.TEST:
                    tests[channel, content.priority.name] += count
            if content.is_scheduled(meter.moment):
                deliveries += writer.scheduled(row.id, content, validation, meter.moment)
            elif content.priority is Priority.BATCH:
                members += joining(row.id, content, validation)
            else:
                deliveries += writer.at_once(row.id, content, validation, meter.moment)
    _finish(session, validated, results, known, meter.moment)
    _keep_files(session, validated, results, known, meter.moment)
    writer.deliveries(session, deliveries)
    _tell(session, validated, results, known, meter.moment)
    _open_obligations(session, [one for one, _ in validated if results[one.uid] == "new"], meter.moment)
    repeats.remember(session, [one for one, _ in validated if results[one.uid] == "new"], meter.moment)
    throttled.store({uid for uid, result in results.items() if result == "new"})
    equal.store([uid for uid, result in results.items() if result == "new"])
    meter.store()
    if members:
        end_pipeline(session)
    return Stored(results, admitted, tests, join(session, members) if members else [])


def _unequal(
    validated: Sequence[tuple[Content, Validation]], services: Mapping[int, ServiceState], equal: Taking
) -> Iterator[tuple[Content, Validation]]:
    """Yield what is stored; what has just become equal to another is refused, or looked at again for its digest."""
    for content, validation in validated:
        found = None
        if isinstance(validation, Plan):
            found = equal.admit(content, validation, services[content.service_id])
        if found is None:
            yield content, validation
        elif not equal_messages.joins_digest(content, found.rule):
            yield content, found.problem(clock.now())


def first_status(content: Content, now: datetime, plan: Plan | None = None) -> NotificationStatus:
    """Return the status with which a notification begins that is accepted now."""
    if content.is_scheduled(now) or (plan is not None and plan.wait is not None):
        return NotificationStatus.SCHEDULED
    buffered = content.priority is Priority.BATCH
    return NotificationStatus.BUFFERED if buffered else NotificationStatus.DISPATCHED


class _Row(msgspec.Struct, frozen=True):
    """A notification's row; ``status_before`` is set when it had been accepted by someone else meanwhile."""

    id: int
    inserted: bool
    status_before: str | None


def _claim_ids(session: Session, validated: Sequence[tuple[Content, Validation]], now: datetime) -> dict[UUID, _Row]:
    """Insert every notification, or lock the row of one that was there already.

    A row that is there at the one moment and deleted at the next, being past its retention, is inserted after all.
    """
    rows = {content.uid: _notification_row(content, validation, now) for content, validation in validated}
    known: dict[UUID, _Row] = {}
    while missing := [uid for uid in rows if uid not in known]:
        inserted = writer.notifications(session, [rows[uid] for uid in missing])
        known |= {uid: _Row(identity, inserted=True, status_before=None) for uid, identity in inserted.items()}
        there = [uid for uid in missing if uid not in known]
        for uid, (identity, status) in writer.locked(session, there).items():
            known[uid] = _Row(identity, inserted=False, status_before=status)
    return known


def _notification_row(content: Content, validation: Validation, now: datetime) -> dict[str, Any]:
    accepted = isinstance(validation, Plan)
    notification = content.notification
    keep = accepted or 0 < len(content.canonical) <= _KEPT_WHEN_REFUSED
    return {
        "uid": content.uid,
        "service_id": content.service_id,
        "api_client_id": content.api_client_id,
        "priority": content.priority.value,
        "aggregator_id": notification.aggregator_id if notification else None,
        "status": (
            first_status(content, now, validation) if isinstance(validation, Plan) else NotificationStatus.FAILED
        ).value,
        "content": content.canonical.decode() if keep else None,
        "problem": None if accepted else _problem(validation),
        "created_at": now,
        "updated_at": now,
        "accepted_at": now if accepted else None,
        "send_at": content.moment,
        "mode": content.manner.mode.value,
        "job_id": None,
    }


def _problem(problem: Validation) -> dict[str, Any] | None:
    if not isinstance(problem, Problem):
        return None
    return {
        "code": problem.code,
        "detail": problem.detail,
        "errors": [msgspec.to_builtins(error) for error in problem.errors],
    }


def _finish(
    session: Session,
    validated: Sequence[tuple[Content, Validation]],
    results: Mapping[UUID, StoreResult],
    known: Mapping[UUID, _Row],
    now: datetime,
) -> None:
    """Bring earlier refused rows to their new validation, and those that the day's limit turned away to theirs."""
    for content, validation in validated:
        row, result = known[content.uid], results[content.uid]
        last = result if isinstance(result, Problem) else validation
        if row.status_before is not None or (row.inserted and last is validation):
            continue
        end_pipeline(session)
        values = _notification_row(content, last, now)
        if isinstance(last, Problem):
            del values["created_at"]
        session.execute(update(Notification).where(Notification.id == row.id).values(**values))
        if not row.inserted:
            again.of_notifications(session, [row.id])


def _keep_files(
    session: Session,
    validated: Sequence[tuple[Content, Validation]],
    results: Mapping[UUID, StoreResult],
    known: Mapping[UUID, _Row],
    now: datetime,
) -> None:
    new = [content for content, _ in validated if content.attached.files and results[content.uid] == "new"]
    if not new:
        return
    end_pipeline(session)
    if len(new) > 1:
        files.lock(session, {(content.service_id, digest) for content in new for digest in content.attached.files})
    for content in new:
        attached, identity = content.attached, known[content.uid].id
        kept = files.keep(session, content.service_id, attached.files)
        files.use(session, identity, [kept[one.sha256] for some in attached.channels.values() for one in some])
        if attached.linked:
            owner = file_links.Owner(content.service_id, identity, now)
            file_links.make(session, owner, attached.linked, kept)


def _tell(
    session: Session,
    validated: Sequence[tuple[Content, Validation]],
    results: Mapping[UUID, StoreResult],
    known: Mapping[UUID, _Row],
    now: datetime,
) -> None:
    """Write into the histories of what is new what joins a digest or has to wait, and who gets another language.

    Of what is scheduled, and of batches, the language is told when it goes.
    """
    told: list[dict[str, Any]] = []
    for content, validation in validated:
        if not isinstance(validation, Plan) or results[content.uid] != "new":
            continue
        missed = [choice.sentence(name) for planned in validation.channels for name, choice in planned.missed]
        if not missed and not validation.waits and content.throttled is None:
            continue
        own = known[content.uid].id
        if content.throttled is not None:
            told.append(events.event(JOINS_DIGEST, joins_digest(content.throttled.detail), notification_id=own, at=now))
        said = dict.fromkeys(wait.sentence() for wait in validation.waits.values())
        told += [events.event("waits", one, notification_id=own, at=now) for one in said]
        if missed and content.priority is not Priority.BATCH and not content.is_scheduled(now):
            told += [events.event(OTHER_LANGUAGE, one, notification_id=own, at=now) for one in missed]
    events.write(session, told)


def joins_digest(why: str) -> str:
    """Say that what is one too many, or equal to another, joins a digest."""
    return f"{why} It joins a digest instead."


def _open_obligations(session: Session, accepted: Sequence[Content], now: datetime) -> None:
    """Store what notifications owe, in the transaction that stores them."""
    new = [owes for one in accepted if (owes := obligations.obligation(one, now)) is not None]
    if new:
        end_pipeline(session)
        opening.open_all(session, new, now)


def messages(content: Content, plan: Plan) -> dict[str, int]:
    """Count the messages of a plan by channel type; one that joins batches counts once for each of them.

    What a batch's message will go to is not known yet, and its members share it.
    """
    counts: dict[str, int] = {}
    buffered = content.priority is Priority.BATCH
    for planned in plan.channels:
        kind = planned.channel.type
        counts[kind] = counts.get(kind, 0) + len(set(planned.channel.recipient) if buffered else planned.targets)
    return counts


def joining(notification_id: int, content: Content, plan: Plan) -> list[Joining]:
    """List the batches that a notification joins: one for each channel and recipient."""
    return [
        Joining(
            key,
            limits(planned.template.batch),
            notification_id,
            content.uid,
            index,
            content.attached.size(index),
            planned.channel.language,
        )
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
            recipient=recipient if content.direct is None else "",
            template=channel.template_id,
            content_type=channel.content_type,
            subject=channel.subject,
            sender=channel.sender if content.direct is None else content.direct.sender,
            reply_to=channel.reply_to,
            matter=content.notification.matter,
            mode=content.manner.mode.value,
            redirect=content.manner.redirect,
            address=content.direct.address if content.direct is not None else None,
        )
        for recipient in dict.fromkeys(channel.recipient)
    ]
