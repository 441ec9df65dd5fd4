"""One notification, whole: its channels, deliveries and everything that happened to it."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BindParameter, ColumnElement, bindparam, func, or_, select, tuple_
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.channels.attachments import AttachedFile
from backend.channels.base import Channel
from backend.db.models.notifications import Delivery, DeliveryStatus, Event, Notification, NotificationStatus
from backend.db.models.registry import TemplateVersion
from backend.db.types import Moment
from backend.delivery import attached
from backend.reports import attachments, batches
from backend.reports.batches import Membership, Memberships
from backend.reports.model import (
    ChannelReport,
    DeliveryReport,
    EventReport,
    Fault,
    NotificationReport,
    RecipientReport,
    ReportLinks,
    priority_name,
)

# Longer than any identifier; only a refused notification can hold more.
MAX_WORD = 200
# What a refused notification asked for may be anything, also what has no hash.
_CHANNELS = list(Channel)

# So many of a notification's deliveries and events are told at once; so many names of recipients with the former.
PAGE = 500
_NAMES = 2_000


class After(msgspec.Struct, frozen=True):
    """Where a page begins: behind a delivery's row, and behind an event by its moment and row; null is the start."""

    delivery: int | None = None
    event: tuple[datetime, int] | None = None


BEGINNING = After()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A notification's row, its places in batches, and a page of its deliveries and of those of its batches.

    ``statuses`` counts all deliveries. ``next`` is where the page behind this one begins, of what there is more.
    """

    notification: Notification
    deliveries: Sequence[Delivery]
    memberships: Memberships
    events: Sequence[Event]
    statuses: dict[str, int]
    events_total: int
    after: After
    next: After


class Step(msgspec.Struct, frozen=True):
    """Something that happened, in a sentence; ``kind`` is the event's, or ``begun``, ``refused`` or ``buffered``."""

    at: datetime
    kind: str
    what: str


def report(session: Session, service_id: int, uid: UUID, after: After = BEGINNING) -> NotificationReport | None:
    """Report on a service's notification; ``None`` if the service has none of this id."""
    found = find(session, service_id, uid, after)
    return describe(session, found, ReportLinks(self=f"/notifications/v1/{uid}")) if found else None


def find(session: Session, service_id: int, uid: UUID, after: After = BEGINNING, most: int = PAGE) -> Found | None:
    """Read a service's notification; ``None`` if the service has none of this id."""
    notification = session.scalar(
        select(Notification).where(Notification.uid == uid, Notification.service_id == service_id)
    )
    if notification is None:
        return None
    memberships = batches.memberships(session, notification.id)
    gone_with = _gone_with(memberships)
    own = or_(Delivery.notification_id == notification.id, Delivery.batch_id.in_(gone_with))
    deliveries, next_delivery = _deliveries(session, own, after.delivery, most)
    happened = or_(Event.notification_id == notification.id, Event.batch_id.in_(gone_with))
    events, next_event = _events(session, happened, after.event, most)
    counted = select(Delivery.status, func.count()).where(own).group_by(Delivery.status).order_by(Delivery.status)
    return Found(
        notification=notification,
        deliveries=deliveries,
        memberships=memberships,
        events=events,
        statuses=dict(session.execute(counted).tuples().all()),
        events_total=session.scalar(select(func.count()).where(happened)) or 0,
        after=after,
        next=After(next_delivery, next_event),
    )


def describe(session: Session, found: Found, links: ReportLinks) -> NotificationReport:
    """Report on a notification, with a page of its deliveries and events."""
    notification = found.notification
    told = steps(session, found, shown)
    return NotificationReport(
        notification_id=str(notification.uid),
        status=NotificationStatus(notification.status),
        priority=priority_name(notification.priority),
        aggregator_id=notification.aggregator_id,
        created_at=notification.created_at,
        updated_at=notification.updated_at,
        deliveries_total=sum(found.statuses.values()),
        deliveries_by_status=found.statuses,
        events_total=found.events_total,
        channels=_channels(session, found),
        events=[EventReport(step.at, step.what) for step in told],
        links=links,
        problem=msgspec.convert(notification.problem, Fault) if notification.problem else None,
    )


def _deliveries(
    session: Session, own: ColumnElement[bool], after: int | None, most: int
) -> tuple[Sequence[Delivery], int | None]:
    """Return a page of deliveries, and the row behind which the next one begins."""
    wanted = select(Delivery).where(own).order_by(Delivery.id).limit(most + 1)
    found = session.scalars(wanted if after is None else wanted.where(Delivery.id > after)).all()
    page, names = found[:1], 0
    for count, delivery in enumerate(found[:most], start=1):
        names += len(delivery.recipients)
        if names > _NAMES and count > 1:
            break
        page = found[:count]
    return page, page[-1].id if len(found) > len(page) else None


def _events(
    session: Session, happened: ColumnElement[bool], after: tuple[datetime, int] | None, most: int
) -> tuple[Sequence[Event], tuple[datetime, int] | None]:
    """Return a page of events, oldest first, and the one behind which the next page begins."""
    wanted = select(Event).where(happened).order_by(Event.at, Event.id).limit(most + 1)
    if after is not None:
        place: tuple[BindParameter[Any], ...] = bindparam(None, after[0], type_=Moment), bindparam(None, after[1])
        wanted = wanted.where(tuple_(Event.at, Event.id) > tuple_(*place))
    found = session.scalars(wanted).all()
    last = found[most - 1] if len(found) > most else None
    return found[:most], (last.at, last.id) if last else None


def _gone_with(memberships: Memberships) -> list[int]:
    return [one.batch_row for one in memberships.values() if one.report.removed_at is None]


class _Place(msgspec.Struct, frozen=True):
    """What there is for one recipient of a channel."""

    deliveries: list[Delivery]
    membership: Membership | None


class _Places:
    """What there is for each recipient of a channel, put in order once."""

    def __init__(self, found: Found) -> None:
        self._memberships = found.memberships
        self._own: dict[tuple[int, str], list[Delivery]] = {}
        self._of_batch: dict[int, list[Delivery]] = {}
        for one in found.deliveries:
            if one.batch_id is not None:
                self._of_batch.setdefault(one.batch_id, []).append(one)
            elif one.channel_index is not None:
                for recipient in one.recipients:
                    self._own.setdefault((one.channel_index, recipient), []).append(one)

    def of(self, index: int, recipient: str) -> _Place:
        membership = self._memberships.get((index, recipient))
        if membership is None:
            return _Place(self._own.get((index, recipient), []), None)
        is_in = membership.report.removed_at is None
        return _Place(self._of_batch.get(membership.batch_row, []) if is_in else [], membership)


def _channels(session: Session, found: Found) -> list[ChannelReport]:
    """Report the channels as they were asked for; a refused notification has them only if it had their shape."""
    asked = _asked(found.notification)
    channels = asked.get("channels") if isinstance(asked, dict) else None
    numbers = _version_numbers(session, {delivery.template_version_id for delivery in found.deliveries})
    places = _Places(found)
    files = attached.named(found.notification.content)
    return [
        _channel(channel, partial(places.of, index), numbers, files[index] if index < len(files) else ())
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


def _channel(
    channel: dict[str, Any],
    place: Callable[[str], _Place],
    numbers: dict[int, int | None],
    files: Sequence[AttachedFile],
) -> ChannelReport:
    named = channel.get("recipient", channel.get("recipients"))
    recipients = [_word(name) for name in named] if isinstance(named, list) else []
    places = {name: place(name) for name in recipients}
    versions = [numbers[one.template_version_id] for found in places.values() for one in found.deliveries]
    return ChannelReport(
        type=Channel(kind) if (kind := channel.get("type")) in _CHANNELS else None,
        template_id=_word(channel.get("template_id", "")),
        template_version=versions[0] if versions else None,
        recipients=[_recipient(name, places[name]) for name in recipients],
        attachments=attachments.reported(files),
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
        status=DeliveryStatus(delivery.status),
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
    """Tell what happened in order: how it came in, then every attempt and change, also of its batches; a page of it.

    ``shown`` writes the address of a delivery for the reader.
    """
    notification, problem = found.notification, found.notification.problem
    told: list[Step] = []
    if found.after.event is None:
        refused = [Step(notification.created_at, "refused", f"Refused: {problem['detail']}")] if problem else []
        told = refused or [Step(notification.created_at, "begun", "Accepted")]
        for one in found.memberships.values():
            joined = batches.told(one, notification.accepted_at or notification.created_at)
            told += [Step(event.at, "buffered", event.what) for event in joined]
    addresses = {delivery.id: shown(delivery) for delivery in found.deliveries}
    others = {event.delivery_id for event in found.events if event.delivery_id} - addresses.keys()
    if others:
        more = session.scalars(select(Delivery).where(Delivery.id.in_(others)))
        addresses |= {delivery.id: shown(delivery) for delivery in more}
    told += [_step(event, addresses.get(event.delivery_id or 0, "")) for event in found.events]
    return sorted(told, key=lambda step: step.at)


def _step(event: Event, address: str) -> Step:
    pattern = _WHAT.get(event.kind, "{detail}")
    what = pattern.format(address=address, provider=event.provider, attempt=event.attempt, detail=event.detail)
    return Step(event.at, event.kind, what)
