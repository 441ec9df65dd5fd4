"""The links to a notification's files, and who fetched them, as pages and answers tell of it."""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.channels.attachments import LinkedFile
from backend.db.models.attachments import FileDownload, FileLink
from backend.db.models.notifications import Notification
from backend.lib import clock
from backend.reports.model import DownloadReport, LinkedFileReport

# So many downloads of a link are told, the newest.
_SHOWN = 100


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
    rows = session.execute(wanted.order_by(FileDownload.id.desc()).limit(_SHOWN))
    return [DownloadReport(at, address) for at, address in rows]
