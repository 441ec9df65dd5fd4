"""One address, whole: what a service sent to it in all channels, what came back, and why it gets nothing more."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked, normalise
from backend.channels.base import Channel
from backend.db.models.batches import Batch
from backend.db.models.notifications import Delivery, Event, Notification
from backend.db.models.receipts import Suppression
from backend.db.models.registry import Endpoint, Recipient
from backend.lib.problems import Problem
from backend.reports import address_news, sent_to
from backend.reports.address_news import News
from backend.reports.particulars import DeliveryRow, delivery_rows
from backend.search.asked import parts_of

PAGE_SIZE = 50
# So many of the latest messages are looked at for news, and so many pieces of it are told.
_LOOKED_AT = 200
_NEWS = 20
_RECIPIENTS = 50
_LONGEST = 2048
# An address of these is found by how it is written; the others' are looked for as they stand.
_FORMS = (Channel.EMAIL, Channel.SMS, Channel.FRESHSERVICE, Channel.SLACK, Channel.MSTEAMS, Channel.LETTER)


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """One message to the address: what it was about, and the notification or the batch that it is of."""

    delivery: DeliveryRow
    title: str
    at: datetime
    notification_uid: UUID | None
    batch_uid: UUID | None


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """A suppression of the address in a channel; ``freed_at`` is set for one that was lifted."""

    channel: str
    reason: str
    detail: str
    since: datetime
    freed_at: datetime | None


class AddressReport(msgspec.Struct, frozen=True, kw_only=True):
    """An address as a page may show it: a secret one by its ends alone.

    ``canonical`` is what a form names it by where it is no secret. ``recipients`` are the groups that have it now:
    identifier, name and channel. ``older`` is the row of the notification behind which the next page begins.
    """

    shown: str
    canonical: str | None
    stops: list[Stop]
    recipients: list[tuple[str, str, str]]
    news: list[News]
    sendings: list[Sending]
    older: int | None

    @property
    def stopped(self) -> list[Stop]:
        """Return the suppressions in force."""
        return [one for one in self.stops if one.freed_at is None]


def canonical(text: str, allow: Sequence[str] = ()) -> str:
    """Return the canonical form of an address as a person writes it, of whatever channel; ``allow`` as elsewhere.

    Raises:
        Problem: ``invalid_address`` for what is an address of no channel.
    """
    given = text.strip()
    if len(given) <= _LONGEST:
        for channel in _FORMS:
            try:
                return normalise(channel, given, allow)
            except Problem:
                continue
    if "://" in given and given.isascii() and given.isprintable() and len(given) <= _LONGEST:
        return given  # of the long tail of services, whose own library would have to be asked
    detail = "This is no address: write an e-mail address, a number such as +447700900123, or as a recipient has it."
    raise Problem("invalid_address", detail)


def report(session: Session, service_id: int, address: str, before: int | None = None) -> AddressReport:
    """Report on an address, in canonical form, with the messages of a service to it behind the row ``before``."""
    bare = _bare(address)
    groups = _groups(session, service_id, bare)
    latest = sent_to.page(session, service_id, bare, before=None, size=_LOOKED_AT).deliveries
    sent = sent_to.page(session, service_id, bare, before=before, size=PAGE_SIZE)
    shown = sent.deliveries
    kind = shown[0].type if shown else groups[0][2] if groups else Channel.APPRISE if _is_url(bare) else ""
    visible = masked(kind, bare)
    return AddressReport(
        shown=visible,
        canonical=bare if visible == bare else None,
        stops=_stops(session, service_id, bare),
        recipients=groups,
        news=list(_news(session, latest)),
        sendings=list(_sendings(session, shown)),
        older=sent.older,
    )


def sendings(session: Session, service_id: int, address: str, before: int | None) -> tuple[list[Sending], int | None]:
    """Return a page of a service's messages to an address behind the row ``before``, and where the next one begins."""
    sent = sent_to.page(session, service_id, _bare(address), before=before, size=PAGE_SIZE)
    return list(_sendings(session, sent.deliveries)), sent.older


def _is_url(address: str) -> bool:
    return "://" in address


def _bare(address: str) -> str:
    """Return the mailbox of a ticket's requester, and every other address as it is."""
    head, _, options = address.partition(";")
    return head if "@" in head and "=" in options and not _is_url(address) else address


def _groups(session: Session, service_id: int, bare: str) -> list[tuple[str, str, str]]:
    """Find the groups that have an address in any form of it: tickets of one requester differ in their options."""
    mine = Endpoint.address == bare
    if "@" in bare and not _is_url(bare):
        mine |= (Endpoint.type == Channel.FRESHSERVICE.value) & Endpoint.address.startswith(f"{bare};", autoescape=True)
    rows = session.execute(
        select(Recipient.identifier, Recipient.name, Endpoint.type)
        .join(Endpoint, Endpoint.recipient_id == Recipient.id)
        .where(Recipient.service_id == service_id, Recipient.deleted_at.is_(None), mine)
        .order_by(Recipient.identifier, Endpoint.position)
        .limit(_RECIPIENTS)
    ).all()
    return [(row.identifier, row.name, row.type) for row in rows]


def _stops(session: Session, service_id: int, address: str) -> list[Stop]:
    own = (Suppression.service_id == service_id, Suppression.address == address)
    rows = session.scalars(select(Suppression).where(*own).order_by(Suppression.channel))
    return [
        Stop(channel=row.channel, reason=row.reason, detail=row.detail, since=row.since, freed_at=row.freed_at)
        for row in rows
    ]


def _sendings(session: Session, deliveries: Sequence[Delivery]) -> Iterator[Sending]:
    notifications = {one.notification_id for one in deliveries} - {None}
    batches = {one.batch_id for one in deliveries} - {None}
    columns = (Notification.id, Notification.uid, Notification.content)
    named = {row.id: row for row in session.execute(select(*columns).where(Notification.id.in_(notifications)))}
    joined = {row.id: row for row in session.scalars(select(Batch).where(Batch.id.in_(batches)))}
    for one, row in zip(deliveries, delivery_rows(session, deliveries), strict=True):
        batch, notification = joined.get(one.batch_id or 0), named.get(one.notification_id or 0)
        content = notification.content if notification else None
        title = (batch.subject or batch.template) if batch else _title(content, one)
        yield Sending(
            delivery=row,
            title=title,
            at=one.created_at,
            notification_uid=notification.uid if notification else None,
            batch_uid=batch.uid if batch else None,
        )


def _title(content: str | None, one: Delivery) -> str:
    parts, index = parts_of(content), one.channel_index or 0
    return (parts[index].subject or parts[index].template_id) if index < len(parts) else "Message"


def _news(session: Session, deliveries: Sequence[Delivery]) -> Iterator[News]:
    by_row = {one.id: one for one in deliveries}
    told = Event.delivery_id.in_(by_row), Event.kind.in_(address_news.KINDS)
    events = session.scalars(select(Event).where(*told).order_by(Event.id.desc()).limit(_NEWS)).all()
    rows = {event.notification_id for event in events} - {None}
    uids = dict(session.execute(select(Notification.id, Notification.uid).where(Notification.id.in_(rows))).all())
    for event in events:
        channel = by_row[event.delivery_id or 0].type
        yield address_news.explained(event, channel, uids.get(event.notification_id or 0))
