"""Links to files that messages do not carry: made with their notification, outliving it, ended in time or by hand."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, delete, exists, insert, or_, select, update
from sqlalchemy.orm import Session

from backend.channels.attachments import LinkedFile
from backend.db.models.attachments import FileDownload, FileLink
from backend.db.models.batches import BatchMember
from backend.db.models.notifications import Delivery
from backend.delivery.content import files
from backend.lib import clock, settings

# By this name a template sees the addresses of the files: ``{{ files["report.pdf"] }}``.
FIELD = "files"
# In hexadecimal, since no template's markup means anything by it: 192 random bits.
_TOKEN_BYTES = 24
_CHUNK = 300


class Link(msgspec.Struct, frozen=True):
    """A file as a message tells of it; ``size`` is in octets."""

    name: str
    size: int
    sha256: str
    address: str


def address(token: str) -> str:
    """Return the address of the page on which a file is offered."""
    return f"{settings.current().base_url}/files/{token}"


def examples(named: Iterable[LinkedFile]) -> list[Link]:
    """Return what stands in previews for the links of files: they look like these, and lead to nothing."""
    return [Link(one.name, one.size, one.sha256, address(f"example-{one.sha256[:39]}")) for one in named]


def seen(fields: Any, links: Sequence[Link]) -> Any:
    """Return the fields as a template sees them where files go as links; a field of that name stays as it is."""
    if not links or not isinstance(fields, dict) or FIELD in fields:
        return fields
    return {FIELD: {one.name: one.address for one in links}, **fields}


class Owner(msgspec.Struct, frozen=True):
    """The notification that files go with, by its rows, and the moment at which it was accepted."""

    service_id: int
    notification_id: int
    accepted_at: datetime


def make(session: Session, owner: Owner, named: Mapping[int, Sequence[LinkedFile]], kept: Mapping[str, int]) -> None:
    """Make the links of a notification: ``named`` by the channel's index, to files ``kept`` by their SHA-256."""
    longest = settings.current().link_days * 86_400
    rows = [
        {
            "token": secrets.token_hex(_TOKEN_BYTES),
            "service_id": owner.service_id,
            "notification_id": owner.notification_id,
            "channel_index": index,
            "file_id": kept[one.sha256],
            "name": one.name,
            "type": one.type,
            "size": one.size,
            "sha256": one.sha256,
            "confirm_address": one.confirm_address,
            "created_at": owner.accepted_at,
            "expires_at": owner.accepted_at + timedelta(seconds=min(one.expires_after, longest)),
        }
        for index, some in named.items()
        for one in some
    ]
    session.execute(insert(FileLink), rows)


def of_notifications(session: Session, identities: Iterable[int]) -> dict[tuple[int, int], list[Link]]:
    """Return the links of notifications, by notification and index of the channel."""
    return _links(session, FileLink.notification_id.in_(set(identities)))


def of_batch(session: Session, batch_id: int) -> dict[tuple[int, int], list[Link]]:
    """Return the links of the notifications in a batch, in the same way."""
    members = select(BatchMember.notification_id).where(BatchMember.batch_id == batch_id)
    return _links(session, FileLink.notification_id.in_(members))


def _links(session: Session, wanted: ColumnElement[bool]) -> dict[tuple[int, int], list[Link]]:
    columns = (FileLink.notification_id, FileLink.channel_index, FileLink.name, FileLink.size, FileLink.sha256)
    found: dict[tuple[int, int], list[Link]] = {}
    for notification_id, index, name, size, digest, token in session.execute(
        select(*columns, FileLink.token).where(wanted).order_by(FileLink.id)
    ):
        found.setdefault((notification_id or 0, index), []).append(Link(name, size, digest, address(token)))
    return found


def deliveries(notification_id: int, channel_index: int) -> ColumnElement[bool]:
    """Tell which deliveries bring a link of a channel: its own, or those of the batches that it went into."""
    batches = select(BatchMember.batch_id).where(
        BatchMember.notification_id == notification_id,
        BatchMember.channel_index == channel_index,
        BatchMember.removed_at.is_(None),
    )
    own = and_(Delivery.notification_id == notification_id, Delivery.channel_index == channel_index)
    return or_(own, Delivery.batch_id.in_(batches))


def digest(token: str, mailbox: str) -> str:
    """Return what is kept of an address for a link that outlives its notification."""
    return hashlib.sha256(f"{token} {mailbox}".encode()).hexdigest()[:32]


def mailbox(given: str) -> str:
    """Return the mailbox of an address that has options behind it or none, in the form in which they compare."""
    return given.partition(";")[0].strip().casefold()


def outlive(session: Session, notification_ids: Sequence[int]) -> None:
    """Part links from notifications that are about to be deleted, and keep for whom they are."""
    links = session.scalars(select(FileLink).where(FileLink.notification_id.in_(notification_ids))).all()
    for link in links:
        if link.file_id is not None and link.notification_id is not None:
            own = deliveries(link.notification_id, link.channel_index)
            went_to = session.scalars(select(Delivery.address).where(own))
            link.recipients = sorted({digest(link.token, mailbox(one)) for one in went_to})
        link.notification_id = None
    session.flush()


def end(session: Session) -> int:
    """Delete the files of some links that have expired, and what is left of those that did so long ago.

    Returns how many were dealt with.
    """
    now = clock.now()
    over = select(FileLink).where(FileLink.expires_at <= now, FileLink.file_id.is_not(None)).limit(_CHUNK)
    links = session.scalars(over.order_by(FileLink.id).with_for_update(skip_locked=True)).all()
    let_go(session, links)
    old = and_(
        FileLink.expires_at < now - timedelta(days=settings.current().retention_days),
        FileLink.notification_id.is_(None),
        FileLink.file_id.is_(None),
    )
    gone = session.scalars(select(FileLink.id).where(old).limit(_CHUNK)).all()
    if gone:
        session.execute(delete(FileDownload).where(FileDownload.link_id.in_(gone)))
        session.execute(delete(FileLink).where(FileLink.id.in_(gone)))
    return len(links) + len(gone)


def let_go(session: Session, links: Sequence[FileLink]) -> None:
    """Part links from their files, of which those are deleted that nobody has any more."""
    named = {link.file_id for link in links if link.file_id is not None}
    if not named:
        return
    session.execute(
        update(FileLink)
        .where(FileLink.id.in_([link.id for link in links]))
        .values(file_id=None, recipients=None)
        .execution_options(synchronize_session=False)
    )
    files.delete_unused(session, named)


def any_over(session: Session) -> bool:
    """Tell whether there is anything to end: a look that locks nothing."""
    now = clock.now()
    limit = now - timedelta(days=settings.current().retention_days)
    over = and_(FileLink.expires_at <= now, FileLink.file_id.is_not(None))
    old = and_(FileLink.expires_at < limit, FileLink.notification_id.is_(None))
    return bool(session.scalar(select(exists().where(or_(over, old)))))
