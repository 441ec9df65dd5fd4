"""The files of notifications and messages, as pages and answers tell of them, and whole for who reads one."""

import re
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.branding import logos
from backend.channels.attachments import MAX_BYTES, AttachedFile, Attachment
from backend.db.models.notifications import Delivery, Notification
from backend.delivery.content import files
from backend.delivery.sending import attached
from backend.reports.model import AttachmentReport

# In an address of an image; names of inline images hold no other characters.
_SHOWN = re.compile(r"\bcid:([A-Za-z0-9._-]+)")


def reported(named: Iterable[AttachedFile]) -> list[AttachmentReport]:
    """Tell of files in an answer."""
    return [
        AttachmentReport(name=one.name, type=one.type, size=one.size, sha256=one.sha256, inline=one.inline)
        for one in named
    ]


def of_delivery(session: Session, delivery: Delivery) -> list[AttachedFile]:
    """List the files that a delivery's message carries."""
    if delivery.batch_id is not None:
        return attached.of_batch(session, delivery.batch_id)
    wanted = select(Notification.content).where(Notification.id == delivery.notification_id)
    channels = attached.named(session.scalar(wanted))
    index = delivery.channel_index
    return channels[index] if index is not None and index < len(channels) else []


def one(session: Session, service_id: int, uid: UUID, sha256: str) -> Attachment | None:
    """Read a file of a service's notification by its SHA-256; None if it has none such."""
    own = (Notification.uid == uid, Notification.service_id == service_id)
    named = attached.named(session.scalar(select(Notification.content).where(*own)))
    found = next((file for files_of in named for file in files_of if file.sha256 == sha256), None)
    content = files.content(session, service_id, sha256) if found else None
    if found is None or content is None:
        return None
    return Attachment(name=found.name, type=found.type, content=content, inline=found.inline)


def with_images(session: Session, service_id: int, named: Iterable[AttachedFile], html: str) -> str:
    """Put the images among a message's files into its HTML, where a page shows it without the rest of the mail."""
    shown = {file.name: file for file in named if file.inline}
    space_left = 2 * MAX_BYTES

    @cache
    def address(name: str) -> str | None:
        file = shown.get(name)
        content = files.content(session, service_id, file.sha256) if file else None
        return f"data:{file.type};base64,{b64encode(content).decode('ascii')}" if file and content else None

    def embedded(found: re.Match[str]) -> str:
        nonlocal space_left
        image = address(found[1])
        if image is None or len(image) > space_left:
            return found[0]
        space_left -= len(image)
        return image

    html = logos.embedded(html)
    return _SHOWN.sub(embedded, html) if shown else html


def shown_html(session: Session, delivery: Delivery, html: str) -> str:
    """Return the HTML of a delivery's message with its images in it."""
    return with_images(session, delivery.service_id, of_delivery(session, delivery), html) if "cid:" in html else html
