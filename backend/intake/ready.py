"""Storing a message that is ready to go to one address, without the judging that a client system's request needs."""

import json
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus, Priority
from backend.lib import ids


class ReadyMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one address, made from a template version; ``template`` is that template's identifier.

    ``recipients`` are what the address was chosen by, empty if by nothing. ``sender`` stands in the place of the
    service's own. ``job_id`` is the job that it is of.
    """

    service_id: int
    channel: Channel
    address: str
    template: str
    template_version_id: int
    fields: Any
    content_type: str = "html"
    subject: str | None = None
    sender: str | None = None
    priority: Priority = Priority.NORMAL
    recipients: tuple[str, ...] = ()
    job_id: int | None = None

    def __repr__(self) -> str:
        """Leave out the fields, which may hold a link that is a secret."""
        return f"ReadyMessage(service_id={self.service_id}, channel={self.channel.value!r})"


def store(session: Session, message: ReadyMessage, moment: datetime) -> Notification:
    """Store the notification and its delivery, due at ``moment``; wake the workers after the commit."""
    notification = Notification(
        uid=ids.random_id(),
        service_id=message.service_id,
        priority=message.priority.value,
        status=NotificationStatus.DISPATCHED.value,
        content=_content(message),
        created_at=moment,
        updated_at=moment,
        accepted_at=moment,
        job_id=message.job_id,
    )
    session.add(notification)
    session.flush()
    session.add(
        Delivery(
            uid=ids.delivery_id(notification.uid, 0, message.address),
            notification_id=notification.id,
            service_id=message.service_id,
            priority=message.priority.value,
            channel_index=0,
            type=message.channel.value,
            template_version_id=message.template_version_id,
            recipients=list(message.recipients),
            address=message.address,
            status=DeliveryStatus.QUEUED.value,
            due_at=moment,
            created_at=moment,
        )
    )
    return notification


def _content(message: ReadyMessage) -> str:
    """Write the notification as a client would have sent it."""
    channel: dict[str, Any] = {
        "type": message.channel.value,
        "recipient": list(message.recipients),
        "content_type": message.content_type,
        "template_id": message.template,
        "fields": message.fields,
    }
    channel |= {
        name: value for name, value in (("subject", message.subject), ("sender", message.sender)) if value is not None
    }
    whole = {"channels": [channel], "priority": message.priority.name}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))
