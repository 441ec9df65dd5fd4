"""What the reports answer with, as the API writes it."""

from datetime import datetime
from typing import Literal, cast

import msgspec

from backend.batching.report import MembershipReport
from backend.channels.base import Channel
from backend.db.models.accounts import Mode
from backend.db.models.notifications import DeliveryStatus, NotificationStatus, Priority
from backend.delivery.outcomes.waits import WaitReport
from backend.lib.problems import FieldError
from backend.obligations.report import ObligationReport
from backend.search.hits import Where

PriorityName = Literal["NORMAL", "HIGH", "BATCH"]


def priority_name(number: int) -> PriorityName:
    """Return the word for a priority, which rows hold as a number."""
    return cast("PriorityName", Priority(number).name)


class DeliveryReport(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one address; ``segments`` counts the parts that a text message was sent in.

    ``due_at`` is there while it is SCHEDULED. Then it goes to the addresses that its recipients have at that moment;
    that of a BATCH notification has none before, and joins its batch.
    ``meant_for`` is the address that it would have gone to, on the channel asked for, where it is redirected.
    ``language`` is that of the template's variant that it is made from.
    ``waits`` is there while a window or a mute keeps it from leaving: then its address stays what it is.
    """

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
    due_at: datetime | None
    meant_for: str | None
    language: str
    waits: WaitReport | None


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


class DownloadReport(msgspec.Struct, frozen=True):
    """That somebody fetched a file: whoever had named ``address``, null where the link asks for none."""

    at: datetime
    address: str | None


class LinkedFileReport(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes as a link; ``size`` is in bytes. Of a refused notification there is no link yet, nor its times.

    ``downloads`` are the hundred newest of ``downloads_total``.
    """

    id: int | None = None
    state: Literal["ACTIVE", "EXPIRED", "WITHDRAWN"] | None = None
    name: str
    type: str
    size: int
    sha256: str
    confirm_address: bool
    expires_at: datetime | None = None
    withdrawn_at: datetime | None = None
    downloads_total: int = 0
    downloads: list[DownloadReport] = []


class ChannelReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One channel of a notification; ``template_version`` is null for one that was refused.

    ``type`` is null where a refused notification asked for a channel that there is not, and ``attachments`` and
    ``linked_files`` are there where it has any. ``sender`` and ``reply_to`` are there where the channel chose them.
    """

    type: Channel | None
    template_id: str
    template_version: int | None
    recipients: list[RecipientReport]
    attachments: list[AttachmentReport] = []
    linked_files: list[LinkedFileReport] = []
    sender: str | None = None
    reply_to: str | None = None


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

    ``send_at`` is the moment that it asked for, null for at once; ``due_in_seconds`` counts down to it while the
    notification is SCHEDULED.

    The first 500 deliveries stand with their recipients, and the first 500 events; ``links`` lead to more.
    ``deliveries_total``, ``deliveries_by_status`` and ``events_total`` count all of them. ``matter`` is what
    it is about. ``waits`` says what keeps a message of it from leaving, and until when: of several, the first to leave.
    """

    notification_id: str
    status: NotificationStatus
    mode: Mode
    priority: PriorityName
    aggregator_id: str | None
    matter: str | None
    created_at: datetime
    updated_at: datetime
    send_at: datetime | None
    due_in_seconds: int | None
    deliveries_total: int
    deliveries_by_status: dict[str, int]
    events_total: int
    channels: list[ChannelReport]
    events: list[EventReport]
    links: ReportLinks
    problem: Fault | None = None
    obligation: ObligationReport | None = None
    waits: WaitReport | None = None


class MatchReport(msgspec.Struct, frozen=True, kw_only=True):
    """A place where a notification has what was searched for: what it is, the name of a field, the text around."""

    where: Where
    name: str | None
    text: str


class NotificationRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One notification in a list; ``send_at`` is the moment that it asked for, null for at once.

    ``subject`` is as it was rendered. ``address`` is where it goes, if that is one place alone, and
    ``addresses_total`` how many there are: none for one that was refused, or whose batch still waits. ``error`` says
    why it failed, ``waits`` what keeps it from leaving. ``matches`` tells where it has what was searched for, and is
    there where something was.
    """

    notification_id: str
    status: NotificationStatus
    mode: Mode
    priority: PriorityName
    aggregator_id: str | None
    created_at: datetime
    updated_at: datetime
    send_at: datetime | None
    subject: str | None
    address: str | None
    addresses_total: int
    error: str | None
    links: Links
    waits: WaitReport | None = None
    matches: list[MatchReport] = []


class NotificationPage(msgspec.Struct, frozen=True):
    """A page of a list, newest first; ``next_cursor`` is null on the last."""

    notifications: list[NotificationRow]
    next_cursor: str | None
