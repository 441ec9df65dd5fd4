"""Files behind links: offered to whom a message went, fetched, and withdrawn by who sent them."""

from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec
from sqlalchemy import String, func, or_, select
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.channels import addresses
from backend.channels.attachments import Attachment
from backend.channels.base import Channel
from backend.db import database as db
from backend.db.models.accounts import Service
from backend.db.models.attachments import FileDownload, FileLink, StoredFile
from backend.db.models.notifications import Delivery, Notification
from backend.delivery.content import file_links
from backend.lib import clock
from backend.lib.problems import Problem

Over = Literal["expired", "withdrawn"]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A file behind a link, and whose it is; ``over`` tells that it is not there any more, and why.

    ``reply_to`` is the address of whoever can be asked, where the service has one. ``size`` is in octets.
    """

    token: str
    name: str
    type: str
    size: int
    confirm_address: bool
    expires_at: datetime
    service: str
    reply_to: str | None
    over: Over | None


def find(session: Session, token: str) -> Offer | None:
    """Return what is behind a link; None if there is no such link, or there is nothing left of it."""
    wanted = select(FileLink, Service.name, Service.reply_to).join(Service, Service.id == FileLink.service_id)
    found = session.execute(wanted.where(FileLink.token == token)).one_or_none()
    if found is None:
        return None
    link, service, reply_to = found
    return Offer(
        token=link.token,
        name=link.name,
        type=link.type,
        size=link.size,
        confirm_address=link.confirm_address,
        expires_at=link.expires_at,
        service=service,
        reply_to=reply_to,
        over=_over(link),
    )


def _over(link: FileLink) -> Over | None:
    if link.withdrawn_at is not None:
        return "withdrawn"
    return "expired" if link.expires_at <= clock.now() or link.file_id is None else None


def went_to(session: Session, token: str, given: str) -> bool:
    """Tell whether the message with a link went to an address, as a person types it."""
    link = session.scalar(select(FileLink).where(FileLink.token == token))
    if link is None:
        return False
    try:
        mailbox = file_links.mailbox(addresses.normalise(Channel.EMAIL, given))
    except Problem:  # an address that was registered by other rules, or none at all
        mailbox = given.strip().casefold()
    if link.notification_id is None:
        return file_links.digest(token, mailbox) in (link.recipients or ())
    kept = func.lower(Delivery.address, type_=String)
    same = or_(kept == mailbox, kept.startswith(f"{mailbox};", autoescape=True))
    own = file_links.deliveries(link.notification_id, link.channel_index)
    return session.scalar(select(Delivery.id).where(own, same).limit(1)) is not None


def fetch(token: str, address: str | None) -> Attachment | None:
    """Return a file, and remember who fetched it: ``address``, if the link asks for one; None if it is not there."""
    with db.current().transaction() as session:
        link = session.scalar(select(FileLink).where(FileLink.token == token))
        if link is None or _over(link) or (link.confirm_address and address is None):
            return None
        content: bytes | None = session.scalar(select(StoredFile.content).where(StoredFile.id == link.file_id))
        if content is None:
            return None
        session.add(FileDownload(link_id=link.id, address=address, at=clock.now()))
        return Attachment(name=link.name, type=link.type, content=content)


def withdraw(service_id: int, uid: UUID, link_id: int, by: Actor) -> bool:
    """End a link of a service's notification at once, and delete its file; false if it was over before.

    Raises:
        Problem: ``not_found``.
    """
    with db.current().transaction() as session:
        own = (Notification.uid == uid, Notification.service_id == service_id, FileLink.id == link_id)
        link = session.scalar(
            select(FileLink).join(Notification, Notification.id == FileLink.notification_id).where(*own)
        )
        if link is None:
            raise Problem("not_found", "This notification has no such link to a file.")
        if _over(link):
            return False
        link.withdrawn_at = clock.now()
        session.flush()
        file_links.let_go(session, [link])
        detail = {"file": link.name}
        audit.record(session, by, "notification.link_withdrawn", str(uid), service_id=service_id, detail=detail)
        return True
