"""What is failing at a service and why: messages grouped by reason and recipient."""

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import case, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus
from backend.delivery.content import addressee
from backend.delivery.outcomes import causes, present
from backend.delivery.outcomes.causes import Cause
from backend.delivery.outcomes.present import Plan, Why
from backend.lib import clock, pointers
from backend.registry import address_ids
from backend.reports.model import Fault
from backend.search.asked import parts_of

SPAN = timedelta(days=7)
# So many notifications of each status are looked at; where more fail, the newest tell why.
_MOST = 200
_SHOWN = 8
_REASON_LENGTH = 300
# Numbers and ids differ from message to message where the reason is the same.
_PARTICULAR = re.compile(r"<[^>]*>|[0-9a-f]{8,}(-[0-9a-f]+)*|\d{4,}", re.IGNORECASE)


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that fail for one reason; ``state`` is RETRYING or FAILED.

    ``status`` is that of their notifications; ``reason`` and ``latest`` are those of the newest, ``notification`` is
    its public id, ``cause`` explains what a mail server said. ``key`` names the group for as long as anything fails so.
    """

    key: str
    state: str
    status: str
    reason: str
    recipient: str
    count: int
    latest: datetime
    notification: UUID
    cause: Cause | None = None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One message that fails, or one notification that was refused; ids without ``uid`` in their names are of rows.

    ``delivery_id`` is the message's, ``address`` its address as it may be shown. ``batch_id`` and ``batch_uid`` name
    the batch that it was joined into; without a delivery the batch did not become a message.
    """

    state: str
    status: str
    reason: str
    recipient: str
    at: datetime
    notification_id: int
    notification: UUID
    delivery_id: int | None = None
    batch_id: int | None = None
    batch_uid: UUID | None = None
    aggregator_id: str | None = None
    channel: str | None = None
    address: str | None = None

    @property
    def refused(self) -> bool:
        """Tell whether it is a notification that was refused."""
        return self.delivery_id is None and self.batch_id is None


class Group(msgspec.Struct, frozen=True):
    """All that fails for one reason, of the newest notifications that do, the newest first."""

    trouble: Trouble
    failures: list[Failure]


def now(session: Session, service_id: int) -> list[Trouble]:
    """Return what fails, given up within the last seven days or to be tried again, the most frequent first."""
    troubles = [_trouble(key, failures) for key, failures in _groups(session, service_id).items()]
    return sorted(troubles, key=lambda one: (one.count, one.latest), reverse=True)[:_SHOWN]


def group(session: Session, service_id: int, key: str) -> Group | None:
    """Return the failures of a group; ``None`` if nothing fails so (any more)."""
    failures = _groups(session, service_id).get(key)
    if failures is None:
        return None
    return Group(_trouble(key, failures), sorted(failures, key=lambda one: one.at, reverse=True))


def given_up(session: Session, service_id: int) -> list[Failure]:
    """Return what was given up or refused within the last seven days, each by itself, the newest first."""
    return sorted(_given_up(session, service_id), key=lambda one: one.at, reverse=True)


def _groups(session: Session, service_id: int) -> dict[str, list[Failure]]:
    groups: dict[str, list[Failure]] = {}
    for one in (*_given_up(session, service_id), *_tried_again(session, service_id)):
        groups.setdefault(_key(service_id, one), []).append(one)
    return groups


def _key(service_id: int, one: Failure) -> str:
    particulars = (service_id, one.status, _PARTICULAR.sub("…", one.reason), one.recipient)
    return hashlib.sha256(msgspec.json.encode(particulars)).hexdigest()[:20]


def _trouble(key: str, failures: list[Failure]) -> Trouble:
    newest = max(failures, key=lambda one: one.at)
    return Trouble(
        key=key,
        state=newest.state,
        status=newest.status,
        reason=newest.reason,
        recipient=newest.recipient,
        count=len(failures),
        latest=newest.at,
        notification=newest.notification,
        cause=causes.of_mail(newest.channel, newest.reason),
    )


def _given_up(session: Session, service_id: int) -> Iterator[Failure]:
    rows: list[Any] = []
    for status in (NotificationStatus.FAILED, NotificationStatus.PARTIAL):
        rows += _notifications(session, service_id, status, oldest_first=False)
    for row in rows:
        if row.problem is not None:
            parts = parts_of(row.refused_content)
            recipient = parts[0].recipient[0] if parts and parts[0].recipient else ""
            fault = msgspec.convert(row.problem, Fault)
            yield _failure(row, "FAILED", pointers.refusal(fault.detail, fault.errors), recipient)
    accepted = {row.id: row for row in rows if row.problem is None}
    yield from _of_deliveries(session, accepted, DeliveryStatus.FAILED)
    yield from _of_batches(session, accepted)


def _tried_again(session: Session, service_id: int) -> Iterator[Failure]:
    """Find the retries: who waits for another try has been there longer than who waits for the first."""
    rows = _notifications(session, service_id, NotificationStatus.DISPATCHED, oldest_first=True)
    yield from _of_deliveries(session, {row.id: row for row in rows}, DeliveryStatus.RETRYING)


def _notifications(session: Session, service_id: int, status: NotificationStatus, *, oldest_first: bool) -> list[Any]:
    order = (Notification.created_at, Notification.id)
    refused = case((Notification.accepted_at.is_(None), Notification.content))
    columns = (Notification.id, Notification.uid, Notification.status, Notification.problem, Notification.updated_at)
    statement = (
        select(*columns, refused.label("refused_content"))
        .where(
            Notification.service_id == service_id,
            Notification.status == status.value,
            Notification.created_at >= clock.now() - SPAN,
        )
        .order_by(*(order if oldest_first else [column.desc() for column in order]))
        .limit(_MOST)
    )
    return list(session.execute(statement))


def _of_deliveries(session: Session, rows: dict[int, Any], status: DeliveryStatus) -> Iterator[Failure]:
    columns = (
        Delivery.id,
        Delivery.notification_id,
        Delivery.recipients,
        Delivery.error,
        Delivery.type,
        Delivery.address,
    )
    own = (Delivery.notification_id.in_(rows), Delivery.status == status.value)
    for delivery_id, identity, recipients, error, channel, address in session.execute(select(*columns).where(*own)):
        cursor = {"delivery_id": delivery_id, "channel": channel, "address": masked(channel, address)}
        yield _failure(rows[identity or 0], status.value, error, ", ".join(recipients), **cursor)


def _of_batches(session: Session, rows: dict[int, Any]) -> Iterator[Failure]:
    """Find why the batches failed that notifications went with: by themselves, or in one of their deliveries."""
    members = session.execute(
        select(
            BatchMember.notification_id,
            BatchMember.recipient,
            Batch.id,
            Batch.uid,
            Batch.aggregator_id,
            Batch.error,
            Batch.type,
            Batch.address,
        )
        .join(Batch, Batch.id == BatchMember.batch_id)
        .where(BatchMember.notification_id.in_(rows), BatchMember.removed_at.is_(None))
    ).all()
    errors = _errors(session, {member.id for member in members})
    for member in members:
        delivery_id, error = errors.get(member.id, (None, None))
        if member.error or delivery_id is not None:
            cursor = {"batch_id": member.id, "batch_uid": member.uid, "aggregator_id": member.aggregator_id}
            channel = None if member.error else member.type
            unmade = None if member.error else delivery_id
            reason = member.error or error
            row = rows[member.notification_id]
            name = addressee.shown(member.type, member.recipient, member.address)
            yield _failure(row, "FAILED", reason, name, delivery_id=unmade, channel=channel, **cursor)


def _errors(session: Session, batch_ids: Collection[int]) -> dict[int, tuple[int, str | None]]:
    own = (Delivery.batch_id.in_(batch_ids), Delivery.status == DeliveryStatus.FAILED.value)
    return {
        batch_id or 0: (delivery_id, error)
        for batch_id, delivery_id, error in session.execute(
            select(Delivery.batch_id, Delivery.id, Delivery.error).where(*own)
        )
    }


def _failure(row: Any, state: str, reason: str | None, recipient: str, **more: Any) -> Failure:
    return Failure(
        state=state,
        status=row.status,
        reason=(reason or "No reason was given.")[:_REASON_LENGTH],
        recipient=recipient,
        at=row.updated_at,
        notification_id=row.id,
        notification=row.uid,
        **more,
    )


# What "Send again" would do, for people to see before they ask for it: whom each message goes to now, and why not.


class Aim(msgspec.Struct, frozen=True, kw_only=True):
    """An address as a page may show it, with the name of its page; ``same`` tells that it is the one that failed."""

    address: str
    address_id: str
    same: bool
    suppressed: bool


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One failed message: the address that it failed for, and where it would go; ``why`` says why nowhere.

    ``notification_id`` and ``batch_id`` are the row of what it belongs to.
    """

    uid: UUID
    notification_id: int | None
    batch_id: int | None
    channel: str
    recipients: list[str]
    address: str
    address_id: str
    aims: list[Aim]
    why: Why | None

    @property
    def going(self) -> list[Aim]:
        """Return the addresses to which it goes."""
        return [aim for aim in self.aims if not aim.suppressed]


def lines(session: Session, service_id: int, deliveries: Sequence[Delivery]) -> list[Line]:
    """Say where a service's failed deliveries would go, in their order."""
    return [_line(service_id, plan) for plan in present.plans(session, service_id, deliveries)]


def _line(service_id: int, plan: Plan) -> Line:
    one = plan.delivery
    return Line(
        uid=one.uid,
        notification_id=one.notification_id,
        batch_id=one.batch_id,
        channel=one.type,
        recipients=one.recipients,
        address=masked(one.type, one.address),
        address_id=address_ids.seal(service_id, one.address),
        aims=[
            Aim(
                address=masked(one.type, target.address),
                address_id=address_ids.seal(service_id, target.address),
                same=target.same,
                suppressed=target.suppressed is not None,
            )
            for target in plan.targets
        ],
        why=plan.why,
    )
