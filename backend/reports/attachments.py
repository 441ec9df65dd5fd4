"""The files of notifications and messages, as pages and answers tell of them, and whole for who reads one."""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from uuid import UUID

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.branding import logos
from backend.channels.attachments import MAX_BYTES, AttachedFile, Attachment, LinkedFile
from backend.db.models.attachments import FileDownload, FileLink
from backend.db.models.notifications import Delivery, Notification
from backend.delivery.content import files
from backend.delivery.sending import attached
from backend.lib import clock
from backend.reports.model import AttachmentReport, DownloadReport, LinkedFileReport

# In an address of an image; names of inline images hold no other characters.
_SHOWN = re.compile(r"\bcid:([A-Za-z0-9._-]+)")
# So many downloads of a link are told, the newest.
_DOWNLOADS_SHOWN = 100


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


# The links to a notification's files, and who fetched them, as pages and answers tell of it.


class _Channel(msgspec.Struct, frozen=True):
    linked_files: list[LinkedFile] = []


class _Content(msgspec.Struct, frozen=True):
    channels: list[_Channel] = []


_read = msgspec.json.Decoder(_Content).decode


def of_notification(session: Session, notification: Notification) -> Mapping[int, Sequence[LinkedFileReport]]:
    """Tell of the files that a notification links to, by the index of the channel.

    One that was refused has made no links: it tells what it asked for.
    """
    content = notification.content or ""
    if '"linked_files"' not in content:
        return {}
    if notification.accepted_at is None:
        return _asked(content)
    links = session.scalars(
        select(FileLink).where(FileLink.notification_id == notification.id).order_by(FileLink.id)
    ).all()
    counted = select(FileDownload.link_id, func.count()).where(FileDownload.link_id.in_([one.id for one in links]))
    totals = dict(session.execute(counted.group_by(FileDownload.link_id)).tuples().all())
    told: dict[int, list[LinkedFileReport]] = {}
    for one in links:
        fetched = _downloads(session, one.id) if totals.get(one.id) else []
        told.setdefault(one.channel_index, []).append(_report(one, totals.get(one.id, 0), fetched))
    return told


def _asked(content: str) -> Mapping[int, Sequence[LinkedFileReport]]:
    try:
        channels = _read(content).channels
    except (msgspec.DecodeError, RecursionError):
        return {}
    return {
        index: [
            LinkedFileReport(
                name=one.name,
                type=one.type,
                size=one.size,
                sha256=one.sha256,
                confirm_address=one.confirm_address,
            )
            for one in channel.linked_files
        ]
        for index, channel in enumerate(channels)
    }


def _report(link: FileLink, total: int, downloads: list[DownloadReport]) -> LinkedFileReport:
    return LinkedFileReport(
        id=link.id,
        state="WITHDRAWN" if link.withdrawn_at else "ACTIVE" if link.expires_at > clock.now() else "EXPIRED",
        name=link.name,
        type=link.type,
        size=link.size,
        sha256=link.sha256,
        confirm_address=link.confirm_address,
        expires_at=link.expires_at,
        withdrawn_at=link.withdrawn_at,
        downloads_total=total,
        downloads=downloads,
    )


def _downloads(session: Session, link_id: int) -> list[DownloadReport]:
    wanted = select(FileDownload.at, FileDownload.address).where(FileDownload.link_id == link_id)
    rows = session.execute(wanted.order_by(FileDownload.id.desc()).limit(_DOWNLOADS_SHOWN))
    return [DownloadReport(at, address) for at, address in rows]
