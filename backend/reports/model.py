"""What the reports answer with, as the API writes it."""

from datetime import datetime
from typing import Literal, cast

import msgspec

from backend.channels.base import Channel
from backend.db.models.batches import BatchStatus, Why
from backend.db.models.notifications import DeliveryStatus, NotificationStatus, Priority
from backend.lib.problems import FieldError

PriorityName = Literal["NORMAL", "HIGH", "BATCH"]


def priority_name(number: int) -> PriorityName:
    """Return the word for a priority, which rows hold as a number."""
    return cast("PriorityName", Priority(number).name)


class DeliveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one address; ``segments`` counts the parts that a text message was sent in."""

    id: str
    address: str
    status: DeliveryStatus
    attempts: int
    provider: str | None
    provider_message_id: str | None
    error: str | None
    sent_at: datetime | None
    delivered_at: datetime | None
    segments: int | None


class MembershipReport(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a batch: ``sequence`` is its number in order of arrival, ``members`` how many the batch has.

    ``status`` is OPEN or CLOSED while the batch waits, then what became of its message; ``why`` is what closes or
    closed it; ``template_version`` is the one it was sent with. ``removed_at`` is set when this one was taken out.
    """

    batch_id: str
    aggregator_id: str
    status: BatchStatus
    sequence: int
    members: int
    held: bool
    opened_at: datetime
    closes_at: datetime
    why: Why
    closed_at: datetime | None
    dispatched_at: datetime | None
    template_version: int | None
    error: str | None
    removed_at: datetime | None


class RecipientReport(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a channel's message to one recipient group; ``batch`` is there where it went into one."""

    recipient: str
    deliveries: list[DeliveryReport]
    batch: MembershipReport | None = None


class AttachmentReport(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a channel; ``size`` is in bytes, and ``inline`` one that the message's HTML shows."""

    name: str
    type: str
    size: int
    sha256: str
    inline: bool


class ChannelReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One channel of a notification; ``template_version`` is null for one that was refused.

    ``type`` is null where a refused notification asked for a channel that there is not, and ``attachments`` is there
    where it has any.
    """

    type: Channel | None
    template_id: str
    template_version: int | None
    recipients: list[RecipientReport]
    attachments: list[AttachmentReport] = []


class EventReport(msgspec.Struct, frozen=True):
    """Something that happened, in a sentence."""

    at: datetime
    what: str


class Fault(msgspec.Struct, frozen=True):
    """Why a notification was refused."""

    code: str
    detail: str
    errors: list[FieldError]


class Links(msgspec.Struct, frozen=True):
    """Where to read on."""

    self: str


class ReportLinks(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where to read on: ``next`` has the following deliveries, ``next_events`` the following events, if there are."""

    self: str
    next: str | None = None
    next_events: str | None = None


class NotificationReport(msgspec.Struct, frozen=True, kw_only=True):
    """One notification. ``problem`` is there for one that was refused.

    The first 500 deliveries stand with their recipients, and the first 500 events; ``links`` lead to more.
    ``deliveries_total``, ``deliveries_by_status`` and ``events_total`` count all of them.
    """

    notification_id: str
    status: NotificationStatus
    priority: PriorityName
    aggregator_id: str | None
    created_at: datetime
    updated_at: datetime
    deliveries_total: int
    deliveries_by_status: dict[str, int]
    events_total: int
    channels: list[ChannelReport]
    events: list[EventReport]
    links: ReportLinks
    problem: Fault | None = None


class NotificationRow(msgspec.Struct, frozen=True, kw_only=True):
    """One notification in a list."""

    notification_id: str
    status: NotificationStatus
    priority: PriorityName
    aggregator_id: str | None
    created_at: datetime
    updated_at: datetime
    links: Links


class NotificationPage(msgspec.Struct, frozen=True):
    """A page of a list, newest first; ``next_cursor`` is null on the last."""

    notifications: list[NotificationRow]
    next_cursor: str | None
