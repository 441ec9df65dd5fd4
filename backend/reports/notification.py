"""One notification, whole: its channels, deliveries and everything that happened to it."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.models.notifications import Delivery, Event, Notification, Priority
from backend.db.models.registry import TemplateVersion
from backend.reports import batches
from backend.reports.batches import Membership, Memberships
from backend.reports.model import (
    ChannelReport,
    DeliveryReport,
    EventReport,
    Fault,
    NotificationReport,
    RecipientReport,
)

# Longer than any identifier; only a refused notification can hold more.
MAX_WORD = 200


class Found(msgspec.Struct, frozen=True):
    """A notification's row, its deliveries with those of the batches that it went with, and its places in batches."""

    notification: Notification
    deliveries: Sequence[Delivery]
    memberships: Memberships


class Step(msgspec.Struct, frozen=True):
    """Something that happened, in a sentence; ``kind`` is the event's, or ``begun``, ``refused`` or ``buffered``."""

    at: datetime
    kind: str
    what: str


def report(session: Session, service_id: int, uid: UUID) -> NotificationReport | None:
    """Report on a service's notification; ``None`` if the service has none of this id."""
    found = find(session, service_id, uid)
    return describe(session, found) if found else None


def find(session: Session, service_id: int, uid: UUID) -> Found | None:
    """Read a service's notification; ``None`` if the service has none of this id."""
    notification = session.scalar(
        select(Notification).where(Notification.uid == uid, Notification.service_id == service_id)
    )
    if notification is None:
        return None
    memberships = batches.memberships(session, notification.id)
    return Found(notification, _deliveries(session, notification.id, memberships), memberships)


def describe(session: Session, found: Found) -> NotificationReport:
    """Report on a notification, whole."""
    notification = found.notification
    return NotificationReport(
        notification_id=str(notification.uid),
        status=notification.status,
        priority=Priority(notification.priority).name,
        aggregator_id=notification.aggregator_id,
        created_at=notification.created_at,
        updated_at=notification.updated_at,
        channels=_channels(session, notification, found.deliveries, found.memberships),
        events=[EventReport(step.at, step.what) for step in steps(session, found, shown)],
        problem=msgspec.convert(notification.problem, Fault) if notification.problem else None,
    )


def _deliveries(session: Session, notification_id: int, memberships: Memberships) -> Sequence[Delivery]:
    """Return the notification's own deliveries and those of the batches that it went with."""
    own = or_(Delivery.notification_id == notification_id, Delivery.batch_id.in_(_gone_with(memberships)))
    return session.scalars(select(Delivery).where(own).order_by(Delivery.id)).all()


def _gone_with(memberships: Memberships) -> list[int]:
    return [one.batch_row for one in memberships.values() if one.report.removed_at is None]


class _Place(msgspec.Struct, frozen=True):
    """What there is for one recipient of a channel."""

    deliveries: list[Delivery]
    membership: Membership | None


def _place(index: int, recipient: str, deliveries: Sequence[Delivery], memberships: Memberships) -> _Place:
    membership = memberships.get((index, recipient))
    if membership is None:
        mine = [one for one in deliveries if one.channel_index == index and recipient in one.recipients]
    elif membership.report.removed_at is None:
        mine = [one for one in deliveries if one.batch_id == membership.batch_row]
    else:
        mine = []
    return _Place(mine, membership)


def _channels(
    session: Session, notification: Notification, deliveries: Sequence[Delivery], memberships: Memberships
) -> list[ChannelReport]:
    """Report the channels as they were asked for; a refused notification has them only if it had their shape."""
    asked = _asked(notification)
    channels = asked.get("channels") if isinstance(asked, dict) else None
    numbers = _version_numbers(session, {delivery.template_version_id for delivery in deliveries})

    def place(index: int, recipient: str) -> _Place:
        return _place(index, recipient, deliveries, memberships)

    return [
        _channel(channel, partial(place, index), numbers)
        for index, channel in enumerate(channels if isinstance(channels, list) else [])
        if isinstance(channel, dict)
    ]


def _asked(notification: Notification) -> Any:
    """Read the content; one that was refused because it is nested too deeply tells nothing."""
    try:
        return json.loads(notification.content or "{}")
    except RecursionError:
        return None


def _word(value: object) -> str:
    """Write what stands where a word should be, so that any reader can take it: half characters as escapes."""
    return str(value)[:MAX_WORD].encode("utf-8", "backslashreplace").decode()


def _channel(channel: dict[str, Any], place: Callable[[str], _Place], numbers: dict[int, int | None]) -> ChannelReport:
    named = channel.get("recipient", channel.get("recipients"))
    recipients = [_word(name) for name in named] if isinstance(named, list) else []
    places = {name: place(name) for name in recipients}
    versions = [numbers[one.template_version_id] for found in places.values() for one in found.deliveries]
    return ChannelReport(
        type=_word(channel.get("type", "")),
        template_id=_word(channel.get("template_id", "")),
        template_version=versions[0] if versions else None,
        recipients=[_recipient(name, places[name]) for name in recipients],
    )


def _recipient(name: str, place: _Place) -> RecipientReport:
    batch = place.membership.report if place.membership else None
    return RecipientReport(name, [_delivery(one) for one in place.deliveries], batch)


def _version_numbers(session: Session, version_ids: set[int]) -> dict[int, int | None]:
    """Return the numbers of versions; the text of a draft that was sent as a test has none."""
    statement = select(TemplateVersion.id, TemplateVersion.number).where(TemplateVersion.id.in_(version_ids))
    return {identity: number if number > 0 else None for identity, number in session.execute(statement)}


def shown(delivery: Delivery) -> str:
    """Return a delivery's address as an answer may show it: a webhook's is a secret."""
    return masked(delivery.type, delivery.address)


def _delivery(delivery: Delivery) -> DeliveryReport:
    return DeliveryReport(
        id=str(delivery.uid),
        address=shown(delivery),
        status=delivery.status,
        attempts=delivery.attempts,
        provider=delivery.provider,
        provider_message_id=delivery.provider_message_id,
        error=delivery.error,
        sent_at=delivery.sent_at,
        delivered_at=delivery.delivered_at,
        segments=delivery.segments,
    )


_WHAT = {
    "accepted": "Sent to {address} by {provider} (attempt {attempt}): {detail}",
    "kept": "Kept in the outbox for {address}: {detail}",
    "permanent": "Refused for good for {address} by {provider} (attempt {attempt}): {detail}",
    "retry": "Not sent to {address} by {provider} (attempt {attempt}), to be tried again: {detail}",
    "throttled": "Held back for {address} by {provider} (attempt {attempt}): {detail}",
    "config": "Not sent to {address} because {provider} is set up wrongly (attempt {attempt}): {detail}",
    "again": "Queued again for {address}: {detail}",
    "cancelled": "Cancelled for {address}: {detail}",
    "ambiguous": "Handed to {provider} for {address} without an answer (attempt {attempt}): {detail}",
}


def steps(session: Session, found: Found, shown: Callable[[Delivery], str]) -> list[Step]:
    """Tell what happened in order: how it came in, then every attempt and change, also of its batches.

    ``shown`` writes the address of a delivery for the reader.
    """
    notification, problem = found.notification, found.notification.problem
    told = [Step(notification.created_at, "refused", f"Refused: {problem['detail']}")] if problem else []
    told = told or [Step(notification.created_at, "begun", "Accepted")]
    for one in found.memberships.values():
        joined = batches.told(one, notification.accepted_at or notification.created_at)
        told += [Step(event.at, "buffered", event.what) for event in joined]
    addresses = {delivery.id: shown(delivery) for delivery in found.deliveries}
    told += [_step(event, addresses.get(event.delivery_id or 0, "")) for event in _events(session, found)]
    return sorted(told, key=lambda step: step.at)


def _events(session: Session, found: Found) -> Sequence[Event]:
    own = or_(Event.notification_id == found.notification.id, Event.batch_id.in_(_gone_with(found.memberships)))
    return session.scalars(select(Event).where(own).order_by(Event.at, Event.id)).all()


def _step(event: Event, address: str) -> Step:
    pattern = _WHAT.get(event.kind, "{detail}")
    what = pattern.format(address=address, provider=event.provider, attempt=event.attempt, detail=event.detail)
    return Step(event.at, event.kind, what)
