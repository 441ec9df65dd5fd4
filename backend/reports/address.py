"""One address, whole: what a service sent to it in all channels, what came back, and why it gets nothing more."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked, normalise
from backend.channels.base import Channel
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Delivery, Event, Notification
from backend.db.models.receipts import Suppression
from backend.db.models.registry import Endpoint, Recipient
from backend.db.models.search import SearchProgress
from backend.delivery.outcomes import causes
from backend.delivery.outcomes.causes import News
from backend.lib.problems import Problem
from backend.reports.particulars import DeliveryRow, delivery_rows
from backend.search import find
from backend.search.asked import parts_of
from backend.search.query import Query

# Of the notifications whose words are still to be gathered so many are looked at, the newest.
_FRESH = 2_000
_AT_ONCE = 200
PAGE_SIZE = 50
# So many of the latest messages are looked at for news, and so many pieces of it are told.
_LOOKED_AT = 200
_NEWS = 20
_RECIPIENTS = 50
_LONGEST = 2048
# An address of these is found by how it is written; the others' are looked for as they stand.
_FORMS = (Channel.EMAIL, Channel.SMS, Channel.FRESHSERVICE, Channel.SLACK, Channel.MSTEAMS, Channel.LETTER)


# The messages to an address: found by its word in the index of searching, for which accepting does not wait.


class Sent(msgspec.Struct, frozen=True):
    """Messages, newest first; ``older`` is the row of the notification behind which there may be more."""

    deliveries: list[Delivery]
    older: int | None


def page(session: Session, service_id: int, address: str, *, before: int | None, size: int) -> Sent:
    """Read the newest messages of a service to an address, in canonical form and with whatever options behind it.

    ``before`` is the row of a notification: those behind it are read, until there are ``size`` messages.
    """
    found = find.find(session, service_id, Query(address=address), before=before, page=size + 1)
    rows = sorted({*found.rows, *_fresh(session, service_id, before)}, reverse=True)
    deliveries: list[Delivery] = []
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        sent = _sent(session, some, _to(address))
        for row in some:
            deliveries += sent[row]
            if len(deliveries) >= size and row != rows[-1]:
                return Sent(deliveries, row)
    return Sent(deliveries, found.reached)


def _fresh(session: Session, service_id: int, before: int | None) -> Sequence[int]:
    """Return the newest notifications of which the index may know nothing yet."""
    gathered = select(SearchProgress.watermark).scalar_subquery()
    wanted = select(Notification.id).where(Notification.service_id == service_id, Notification.id > gathered)
    if before is not None:
        wanted = wanted.where(Notification.id < before)
    return session.scalars(wanted.order_by(Notification.id.desc()).limit(_FRESH)).all()


def _to(address: str) -> ColumnElement[bool]:
    return or_(Delivery.address == address, Delivery.address.startswith(f"{address};", autoescape=True))


def _sent(session: Session, rows: Collection[int], wanted: ColumnElement[bool]) -> defaultdict[int, list[Delivery]]:
    """Return the messages of notifications; that of a batch is of the newest of its notifications alone."""
    found: defaultdict[int, list[Delivery]] = defaultdict(list)
    own = select(Delivery).where(Delivery.notification_id.in_(rows), wanted).order_by(Delivery.id.desc())
    for one in session.scalars(own):
        found[one.notification_id or 0].append(one)
    newest = dict(_newest_members(session, rows))
    theirs = select(Delivery).where(Delivery.batch_id.in_(newest), wanted).order_by(Delivery.id.desc())
    for one in session.scalars(theirs) if newest else ():
        found[newest[one.batch_id or 0]].append(one)
    return found


def _newest_members(session: Session, rows: Collection[int]) -> Iterator[tuple[int, int]]:
    """Give the batches that any of these is the newest of, each with it."""
    kept = BatchMember.removed_at.is_(None)
    of_any = select(BatchMember.batch_id).where(BatchMember.notification_id.in_(rows), kept).distinct()
    newest = select(BatchMember.batch_id, func.max(BatchMember.notification_id)).where(kept)
    for batch_id, row in session.execute(newest.where(BatchMember.batch_id.in_(of_any)).group_by(BatchMember.batch_id)):
        if row in rows:
            yield batch_id, row


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
    latest = page(session, service_id, bare, before=None, size=_LOOKED_AT).deliveries
    sent = page(session, service_id, bare, before=before, size=PAGE_SIZE)
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
    sent = page(session, service_id, _bare(address), before=before, size=PAGE_SIZE)
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
    told = Event.delivery_id.in_(by_row), Event.kind.in_(causes.KINDS)
    events = session.scalars(select(Event).where(*told).order_by(Event.id.desc()).limit(_NEWS)).all()
    rows = {event.notification_id for event in events} - {None}
    uids = dict(session.execute(select(Notification.id, Notification.uid).where(Notification.id.in_(rows))).all())
    for event in events:
        channel = by_row[event.delivery_id or 0].type
        yield causes.explained(event, channel, uids.get(event.notification_id or 0))
