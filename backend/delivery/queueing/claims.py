"""Claiming due deliveries: a conditional UPDATE, so that no two workers hold the same one."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from backend.channels.attachments import AttachedFile, LinkedFile
from backend.channels.base import Channel, Provider
from backend.db import driver, leases
from backend.db.leases import LostError
from backend.db.models.accounts import Mode
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, DeliveryStatus, Priority
from backend.db.statements import listed
from backend.db.types import opened
from backend.delivery.content.acknowledging import Owed
from backend.delivery.queueing.fairness import FairScheduler


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery claimed by a worker, with what its message is made from.

    ``token`` is that of the lease under which it was claimed.
    ``attempts`` counts the tries before this one; ``accepted_at`` is when it was queued, or last queued anew. It
    belongs to a notification, or to a batch: then ``fields`` is null, since what the members have is read when their
    turn comes, and ``attachments`` and ``linked`` are empty, while ``attached_bytes`` tells of files.
    ``matter_id`` names what it is about, if it is about something.
    ``refused`` tells that it was refused for the moment before. ``asked`` is the channel that was asked for, on which
    ``meant_for`` is the address that it would have gone to, if it goes elsewhere.
    ``until`` is the goal of its obligation, if it has one. ``chosen_sender`` and ``chosen_reply_to`` are what its
    channel chose, by id or address; the former is taken as it is where it is ``sender_as_it_is``. ``note`` is what the
    record of its attempt is to say besides. ``rules`` is the version of its service's windows and mutes.
    """

    token: str
    id: int
    uid: UUID
    notification_id: int | None
    batch_id: int | None
    service_id: int
    priority: int
    channel: Channel
    address: str
    attempts: int
    accepted_at: datetime
    template_version_id: int
    content_type: str
    subject: str | None
    fields: Any
    notification_uid: UUID | None = None
    batch_uid: UUID | None = None
    matter_id: UUID | None = None
    mail_from: str | None = None
    reply_to: str | None = None
    chosen_sender: str | None = None
    sender_as_it_is: bool = False
    chosen_reply_to: str | None = None
    note: str | None = None
    doubt: str | None = None
    provider: str | None = None
    attachments: Sequence[AttachedFile] = ()
    attached_bytes: int = 0
    linked: Sequence[LinkedFile] = ()
    channel_index: int | None = None
    until: str | None = None
    mode: str = Mode.LIVE.value
    refused: bool = False
    asked: str = ""
    meant_for: str | None = None
    rules: int = 0

    @property
    def trace(self) -> UUID:
        """Return the id of the notification or batch that it belongs to, which is that of its trace."""
        return self.notification_uid or self.batch_uid or self.uid


# Made once: building a statement costs more than running it.
_deliveries = cast("Table", Delivery.__table__)


# The claims that one thread has claimed.


class Attempt(msgspec.Struct, frozen=True):
    """What the thread is dispatching, to whom, and since when (``time.monotonic()``)."""

    claim: Claim
    provider: Provider
    since: float


class Group:
    """Claims of one channel; what the thread has not begun, others can take from it while it waits for a provider.

    ``given_up`` is the attempt for which that was done.
    """

    def __init__(self, channel: Channel, claims: Sequence[Claim]) -> None:
        self.channel = channel
        self.thread = threading.get_ident()
        self.attempt: Attempt | None = None
        self.given_up: Attempt | None = None
        self._left = deque(claims)

    def next(self) -> Claim | None:
        """Take the next claim to be dealt with."""
        try:
            return self._left.popleft()
        except IndexError:
            return None

    def next_some(self, most: int) -> list[Claim]:
        """Take up to so many claims."""
        some: list[Claim] = []
        while len(some) < most and (claim := self.next()) is not None:
            some.append(claim)
        return some

    def put_back(self, claims: Sequence[Claim]) -> None:
        """Let claims be the next again."""
        self._left.extendleft(reversed(claims))

    def take_rest(self) -> list[Claim]:
        """Take all that has not been begun, from its end: what the thread takes meanwhile goes on without a gap."""
        rest: list[Claim] = []
        while self._left:
            with suppress(IndexError):  # the thread took the last one
                rest.append(self._left.pop())
        return rest[::-1]

    def begin(self, claim: Claim, provider: Provider) -> None:
        """Note that the thread now waits for a provider."""
        self.attempt = Attempt(claim, provider, time.monotonic())

    def end(self) -> None:
        """Note that the provider has answered."""
        self.attempt = None

    def waited(self) -> float:
        """Return for how many seconds the provider has not answered."""
        attempt = self.attempt
        return 0.0 if attempt is None else time.monotonic() - attempt.since


_TAKE = (
    update(_deliveries)
    .where(listed(_deliveries.c.id, "ids"), leases.is_there("token"))
    .values(status=DeliveryStatus.SENDING.value, claimed_by=bindparam("token"), begun_at=None)
)
# As the driver gives them: SQLAlchemy's rows took a tenth of a delivery's time.
_TAKEN = driver.Select(
    "SELECT deliveries.id, deliveries.uid, deliveries.notification_id, deliveries.batch_id, deliveries.service_id,"
    " deliveries.priority, deliveries.type, deliveries.address, deliveries.attempts, deliveries.template_version_id,"
    " deliveries.channel_index, deliveries.doubt, deliveries.provider,"
    " coalesce(deliveries.requeued_at, deliveries.created_at), notifications.content, notifications.uid,"
    " services.mail_from, services.reply_to, deliveries.matter_id, deliveries.mode, deliveries.error IS NOT NULL,"
    " deliveries.meant_for, services.rules_version"
    " FROM deliveries JOIN services ON services.id = deliveries.service_id"
    " LEFT JOIN notifications ON notifications.id = deliveries.notification_id"
    " WHERE deliveries.id IN ({}) ORDER BY deliveries.priority, deliveries.due_at, deliveries.id"
)
_BATCH_ID = 3


def claim(  # noqa: PLR0913 - each says something else of the same claim
    session: Session, token: str, channel: Channel, *, limit: int, scheduler: FairScheduler, high_only: bool = False
) -> list[Claim]:
    """Take up to ``limit`` due deliveries of a channel: HIGH first, services by turns, then by when they are due.

    On PostgreSQL rows that another worker is claiming are passed over; SQLite has one writer at a time.

    Raises:
        LostError: if there is no lease of this token; nothing was claimed.
    """
    connection = session.connection()
    taken: list[int] = []
    for priority in (Priority.HIGH,) if high_only else Priority:
        taken += scheduler.take(connection, channel, priority, limit - len(taken))
        if len(taken) >= limit:
            break
    if not taken:
        return []
    if connection.execute(_TAKE, {"ids": taken, "token": token}).rowcount != len(taken):
        raise LostError
    return read(session, token, taken)


def read(session: Session, token: str, delivery_ids: Collection[int]) -> list[Claim]:
    """Read what was claimed under a token."""
    rows = list(_TAKEN.rows(session, delivery_ids))
    batches = _batches(session, {row[_BATCH_ID] for row in rows} - {None})
    return [_claim(token, row, batches) for row in rows]


class _Part(msgspec.Struct, frozen=True):
    """What a message is made from: one channel of a notification, or a batch."""

    content_type: str
    fields: Any = None
    subject: str | None = None
    sender: str | None = None
    reply_to: str | None = None
    batch_uid: UUID | None = None
    attachments: list[AttachedFile] = []
    attached_bytes: int = 0
    linked_files: list[LinkedFile] = []
    type: str = ""
    to_address: bool = False


class _Content(Owed, frozen=True, kw_only=True):
    channels: list[_Part]


_read = msgspec.json.Decoder(_Content).decode


def _batches(session: Session, batch_ids: set[int]) -> dict[int, _Part]:
    if not batch_ids:
        return {}
    columns = (Batch.id, Batch.uid, Batch.content_type, Batch.subject, Batch.attached_bytes, Batch.type)
    more = (Batch.sender, Batch.reply_to, Batch.address)
    rows = session.execute(select(*columns, *more).where(Batch.id.in_(batch_ids)))
    return {
        row.id: _Part(
            row.content_type,
            subject=row.subject,
            sender=row.sender,
            reply_to=row.reply_to,
            batch_uid=row.uid,
            attached_bytes=row.attached_bytes,
            type=row.type,
            to_address=row.address is not None,
        )
        for row in rows
    }


def _claim(token: str, row: Sequence[Any], batches: Mapping[int, _Part]) -> Claim:
    (
        identity, uid, notification_id, batch_id, service_id,
        priority, kind, address, attempts, template_version_id,
        channel_index, doubt, provider,
        accepted_at, content, notification_uid,
        mail_from, reply_to, matter_id, mode, refused, meant_for, rules,
    ) = row  # fmt: skip
    whole = _read(content) if batch_id is None else None
    part = whole.channels[channel_index] if whole else batches[batch_id]
    return Claim(
        token=token,
        id=identity,
        uid=driver.uuid(uid),
        notification_id=notification_id,
        batch_id=batch_id,
        service_id=service_id,
        priority=priority,
        channel=Channel(kind),
        address=opened(address),
        attempts=attempts,
        accepted_at=driver.moment(accepted_at),
        template_version_id=template_version_id,
        content_type=part.content_type,
        subject=part.subject,
        fields=part.fields,
        notification_uid=notification_uid and driver.uuid(notification_uid),
        batch_uid=part.batch_uid,
        matter_id=matter_id and driver.uuid(matter_id),
        mail_from=mail_from,
        reply_to=reply_to,
        chosen_sender=part.sender,
        sender_as_it_is=part.to_address and part.sender is not None,
        chosen_reply_to=part.reply_to,
        doubt=doubt,
        provider=provider,
        attachments=part.attachments,
        attached_bytes=sum([file.size for file in part.attachments], part.attached_bytes),
        linked=part.linked_files,
        channel_index=channel_index,
        until=whole.until if whole else None,
        mode=mode,
        refused=bool(refused),
        asked=part.type,
        meant_for=meant_for and opened(meant_for),
        rules=rules,
    )


def release(session: Session, claims: Sequence[Claim]) -> None:
    """Put claims back that were not begun, as they were; those that were lost are not touched."""
    alike: dict[tuple[DeliveryStatus, str], list[int]] = defaultdict(list)
    for one in claims:
        alike[as_it_was(one), one.token].append(one.id)
    for (status, token), identities in alike.items():
        session.execute(
            update(Delivery)
            .where(Delivery.id.in_(identities), Delivery.claimed_by == token)
            .values(status=status.value, claimed_by=None)
            .execution_options(synchronize_session=False)
        )


def as_it_was(claim: Claim) -> DeliveryStatus:
    """Return the status that a delivery had before it was claimed."""
    return DeliveryStatus.RETRYING if claim.attempts else DeliveryStatus.QUEUED
