"""What the reports answer with, as the API writes it."""

from datetime import datetime

import msgspec


class DeliveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one address."""

    id: str
    address: str
    status: str
    attempts: int
    provider: str | None
    provider_message_id: str | None
    error: str | None
    sent_at: datetime | None
    delivered_at: datetime | None


class RecipientReport(msgspec.Struct, frozen=True):
    """What became of a channel's message to one recipient group."""

    recipient: str
    deliveries: list[DeliveryReport]


class ChannelReport(msgspec.Struct, frozen=True, kw_only=True):
    """One channel of a notification; ``template_version`` is null for one that was refused."""

    type: str
    template_id: str
    template_version: int | None
    recipients: list[RecipientReport]


class EventReport(msgspec.Struct, frozen=True):
    """Something that happened, in a sentence."""

    at: datetime
    what: str


class Fault(msgspec.Struct, frozen=True):
    """Why a notification was refused."""

    code: str
    detail: str
    errors: list[dict[str, str]]


class NotificationReport(msgspec.Struct, frozen=True, kw_only=True):
    """One notification, whole. ``problem`` is there for one that was refused."""

    notification_id: str
    status: str
    priority: str
    aggregator_id: str | None
    created_at: datetime
    updated_at: datetime
    channels: list[ChannelReport]
    events: list[EventReport]
    problem: Fault | None = None


class NotificationRow(msgspec.Struct, frozen=True, kw_only=True):
    """One notification in a list."""

    notification_id: str
    status: str
    priority: str
    aggregator_id: str | None
    created_at: datetime
    updated_at: datetime
    links: dict[str, str]


class NotificationPage(msgspec.Struct, frozen=True):
    """A page of a list, newest first; ``next_cursor`` is null on the last."""

    notifications: list[NotificationRow]
    next_cursor: str | None
