"""What the message of a batch is made from: the fields of its members in order of arrival, and links to their files."""

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.channels.attachments import LinkedFile
from backend.db.models.batches import BatchMember
from backend.db.models.notifications import Notification
from backend.delivery.content import file_links
from backend.delivery.content.file_links import Link


class BatchPart(msgspec.Struct, frozen=True):
    """The fields as the template sees them, and the links, each file once."""

    fields: list[Any]
    links: list[Link] = []


class _Channel(msgspec.Struct, frozen=True):
    fields: Any = None
    linked_files: list[LinkedFile] = []


class _Content(msgspec.Struct, frozen=True):
    channels: list[_Channel]


_read = msgspec.json.Decoder(_Content).decode


def read(session: Session, batch_id: int, *, examples: bool = False) -> BatchPart:
    """Read the members of a batch; with ``examples`` the links lead nowhere, as where a message is only looked at."""
    members = (
        select(Notification.content, Notification.id, BatchMember.channel_index)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .where(BatchMember.batch_id == batch_id, BatchMember.removed_at.is_(None))
        .order_by(BatchMember.seq)
        .execution_options(yield_per=1000)
    )
    fields: list[Any] = []
    linked: dict[int, tuple[tuple[int, int], list[LinkedFile]]] = {}
    for position, (content, notification_id, index) in enumerate(session.execute(members)):
        channel = _read(content or "").channels[index]
        fields.append(channel.fields)
        if channel.linked_files:
            linked[position] = (notification_id, index), channel.linked_files
    if not linked:
        return BatchPart(fields)
    real = {} if examples else file_links.of_batch(session, batch_id)
    links = {
        position: file_links.examples(named) if examples else real.get(member, [])
        for position, (member, named) in linked.items()
    }
    for position, some in links.items():
        fields[position] = file_links.seen(fields[position], some)
    return BatchPart(fields, [one for some in links.values() for one in some])
