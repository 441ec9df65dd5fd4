"""One notification, whole: its channels, deliveries and everything that happened to it."""

import json
import math
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BindParameter, ColumnElement, bindparam, func, or_, select, tuple_
from sqlalchemy.orm import Session

from backend.batching import report as batches
from backend.batching.report import Membership, MembershipReport, Memberships
from backend.channels.addresses import masked
from backend.channels.attachments import AttachedFile
from backend.channels.base import Channel
from backend.db.models.accounts import Mode
from backend.db.models.installation import NEVER
from backend.db.models.notifications import Delivery, DeliveryStatus, Event, Notification, NotificationStatus
from backend.db.models.registry import TemplateVersion
from backend.db.types import Moment
from backend.delivery.content import matters
from backend.delivery.outcomes import waits
from backend.delivery.outcomes.waits import WaitReport
from backend.delivery.sending import attached
from backend.lib import clock, pointers
from backend.obligations import report as obligations
from backend.registry.languages import NUMBER
from backend.reports import attachments
from backend.reports.model import (
    ChannelReport,
    DeliveryReport,
    EventReport,
    Fault,
    LinkedFileReport,
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
    """A notification's row, its memberships in batches, and a page of its deliveries and of those of its batches.

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
    waiting = _waits(session, found)
    return NotificationReport(
        notification_id=str(notification.uid),
        status=NotificationStatus(notification.status),
        mode=Mode(notification.mode),
        priority=priority_name(notification.priority),
        aggregator_id=notification.aggregator_id,
        matter=matters.about(notification.content) if notification.accepted_at else None,
        created_at=notification.created_at,
        updated_at=notification.updated_at,
        send_at=notification.send_at,
        due_in_seconds=due_in(notification, waiting),
        deliveries_total=sum(found.statuses.values()),
        deliveries_by_status=found.statuses,
        events_total=found.events_total,
        channels=_channels(session, found),
        events=[EventReport(step.at, step.what) for step in told],
        links=links,
        problem=msgspec.convert(notification.problem, Fault) if notification.problem else None,
        obligation=obligations.of_notification(session, notification),
        waits=waiting,
    )


def _waits(session: Session, found: Found) -> WaitReport | None:
    if found.statuses.get(DeliveryStatus.SCHEDULED.value):
        return waits.of_notifications(session, [found.notification.id]).get(found.notification.id)
    states = (one.report.waits for one in found.memberships.values() if one.report.removed_at is None)
    return min((one for one in states if one is not None), key=lambda one: one.until, default=None)


def due_in(notification: Notification, waiting: WaitReport | None) -> int | None:
    """Return the whole seconds until a notification is due that waits for its moment; None for any other."""
    due = waiting.until if waiting is not None else notification.send_at
    if notification.status != NotificationStatus.SCHEDULED or due is None:
        return None
    return max(0, math.ceil((due - clock.now()).total_seconds()))


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
        state: tuple[BindParameter[Any], ...] = bindparam(None, after[0], type_=Moment), bindparam(None, after[1])
        wanted = wanted.where(tuple_(Event.at, Event.id) > tuple_(*state))
    found = session.scalars(wanted).all()
    last = found[most - 1] if len(found) > most else None
    return found[:most], (last.at, last.id) if last else None


def _gone_with(memberships: Memberships) -> list[int]:
    return [one.batch_row for one in memberships.values() if one.report.removed_at is None]


class _RecipientState(msgspec.Struct, frozen=True):
    """What there is for one recipient of a channel."""

    deliveries: list[Delivery]
    membership: Membership | None


class _Version(msgspec.Struct, frozen=True):
    """The number under which a version is known, and its language; the text of a draft's test has no number."""

    number: int | None
    language: str


class _RecipientStates:
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

    def of(self, index: int, recipient: str) -> _RecipientState:
        # What joined for an address itself has no recipient's name there.
        membership = self._memberships.get((index, recipient)) or self._memberships.get((index, ""))
        if membership is None:
            return _RecipientState(self._own.get((index, recipient), []), None)
        is_in = membership.report.removed_at is None
        return _RecipientState(self._of_batch.get(membership.batch_row, []) if is_in else [], membership)


def _channels(session: Session, found: Found) -> list[ChannelReport]:
    """Report the channels as they were asked for; a refused notification has them only if it had their shape."""
    asked = _asked(found.notification)
    channels = asked.get("channels") if isinstance(asked, dict) else None
    versions = _versions(session, {delivery.template_version_id for delivery in found.deliveries})
    states = _RecipientStates(found)
    files = dict(enumerate(attached.named(found.notification.content)))
    linked = attachments.of_notification(session, found.notification)
    return [
        _channel(channel, partial(states.of, index), versions, files.get(index, ()), linked.get(index, ()))
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
    state: Callable[[str], _RecipientState],
    versions: dict[int, _Version],
    files: Sequence[AttachedFile],
    linked: Sequence[LinkedFileReport],
) -> ChannelReport:
    named = channel.get("recipient", channel.get("recipients"))
    recipients = [_word(name) for name in named] if isinstance(named, list) else []
    states = {name: state(name) for name in recipients}
    numbers = [versions[one.template_version_id].number for found in states.values() for one in found.deliveries]
    return ChannelReport(
        type=Channel(kind) if (kind := channel.get("type")) in _CHANNELS else None,
        template_id=_word(channel.get("template_id", "")),
        template_version=numbers[0] if numbers else None,
        recipients=[_recipient(name, states[name], versions) for name in recipients],
        attachments=attachments.reported(files),
        linked_files=list(linked),
        sender=_chosen(channel, "sender"),
        reply_to=_chosen(channel, "reply_to"),
    )


def _chosen(channel: dict[str, Any], name: str) -> str | None:
    given = channel.get(name)
    return None if given is None else _word(given)


def _recipient(name: str, state: _RecipientState, versions: dict[int, _Version]) -> RecipientReport:
    batch = state.membership.report if state.membership else None
    made = [_delivery(one, versions[one.template_version_id].language) for one in state.deliveries]
    return RecipientReport(name, made, batch)


def _versions(session: Session, version_ids: set[int]) -> dict[int, _Version]:
    statement = select(TemplateVersion.id, NUMBER, TemplateVersion.language).where(TemplateVersion.id.in_(version_ids))
    return {
        identity: _Version(number if number > 0 else None, language)
        for identity, number, language in session.execute(statement)
    }


def shown(delivery: Delivery) -> str:
    """Return a delivery's address as an answer may show it: a webhook's is a secret, a batch's member has none."""
    return masked(delivery.type, delivery.address)


def _delivery(delivery: Delivery, language: str) -> DeliveryReport:
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
        due_at=delivery.due_at if delivery.status == DeliveryStatus.SCHEDULED and delivery.due_at < NEVER else None,
        meant_for=None if delivery.meant_for is None else masked("", delivery.meant_for),
        language=language,
        waits=waits.of_delivery(delivery),
    )


def _named(delivery: Delivery, shown: Callable[[Delivery], str]) -> str:
    return shown(delivery) or ", ".join(delivery.recipients)


_WHAT = {
    "accepted": "Sent to {address} by {provider} (attempt {attempt}): {detail}",
    "kept": "Kept in the outbox for {address}: {detail}",
    "permanent": "Refused for good for {address} by {provider} (attempt {attempt}): {detail}",
    "retry": "Not sent to {address} by {provider} (attempt {attempt}), to be tried again: {detail}",
    "throttled": "Held back for {address} by {provider} (attempt {attempt}): {detail}",
    "config": "Not sent to {address} because {provider} is set up wrongly (attempt {attempt}): {detail}",
    "again": "Queued again for {address}: {detail}",
    "superseded": "Given up for {address}: {detail}",
    "cancelled": "Cancelled for {address}: {detail}",
    "by_person": "Sent from the portal by {detail}",
    "ambiguous": "Handed to {provider} for {address} without an answer (attempt {attempt}): {detail}",
}


def steps(session: Session, found: Found, shown: Callable[[Delivery], str]) -> list[Step]:
    """Tell what happened in order: how it came in, then every attempt and change, also of its batches; a page of it.

    ``shown`` writes the address of a delivery for the reader.
    """
    notification, problem = found.notification, found.notification.problem
    told: list[Step] = []
    begun = notification.accepted_at or notification.created_at
    if found.after.event is None:
        refused = [Step(notification.created_at, "refused", _refused(problem))] if problem else []
        told = refused or [_accepted(notification)]
        for one in found.memberships.values():
            told += _joined(one.report, max(begun, notification.send_at or begun))
    addresses = {delivery.id: _named(delivery, shown) for delivery in found.deliveries}
    others = {event.delivery_id for event in found.events if event.delivery_id} - addresses.keys()
    if others:
        more = session.scalars(select(Delivery).where(Delivery.id.in_(others)))
        addresses |= {delivery.id: _named(delivery, shown) for delivery in more}
    told += [_step(event, addresses.get(event.delivery_id or 0, "")) for event in found.events]
    return sorted(told, key=lambda step: step.at)


def _accepted(notification: Notification) -> Step:
    begun = notification.created_at
    if notification.send_at is None or notification.send_at <= begun:
        return Step(begun, "begun", "Accepted")
    return Step(begun, "scheduled", f"Accepted, to be sent at {notification.send_at:%Y-%m-%d %H:%M:%S} UTC")


def _joined(report: MembershipReport, joined_at: datetime) -> Iterator[Step]:
    yield Step(joined_at, "buffered", f"Buffered as number {report.sequence} of the batch {report.batch_id}")
    if report.removed_at is not None:
        yield Step(report.removed_at, "buffered", f"Taken out of the batch {report.batch_id}")


def _refused(problem: dict[str, Any]) -> str:
    fault = msgspec.convert(problem, Fault)
    return f"Refused: {pointers.refusal(fault.detail, fault.errors)}"


def _step(event: Event, address: str) -> Step:
    pattern = _WHAT.get(event.kind, "{detail}")
    what = pattern.format(address=address, provider=event.provider, attempt=event.attempt, detail=event.detail)
    return Step(event.at, event.kind, what)
