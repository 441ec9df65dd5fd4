"""Sending a draft to the person who edits it: a real message on the usual way, marked as a test."""

import json
from typing import Any

import msgspec
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, NotificationStatus, Priority
from backend.delivery import tasks
from backend.intake import lookup
from backend.intake.usage import Meter
from backend.lib import ids
from backend.lib.problems import Problem
from backend.registry import templates
from backend.registry.templates import TemplateContent
from backend.rendering import engine
from backend.rendering.model import Format, RenderJob, Source

_MARK = "[Test] "
_LONGEST_SUBJECT = 500
_PRIORITY = Priority.NORMAL


class DraftMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One test: the text, an object of fields or, for a batch, the list of them, and the e-mail address it goes to."""

    service_id: int
    template_id: int
    identifier: str
    content: TemplateContent
    fields: Any
    address: str


def store(session: Session, test: DraftMessage) -> None:
    """Store a test's notification and its delivery, counted like every other message; call ``nudge`` after the commit.

    Raises:
        Problem: if the text does not render, the service may send no more today, or it is switched off.
    """
    service = lookup.services(session, {test.service_id})[test.service_id]
    if not service.active:
        raise Problem("service_disabled", "The service has been switched off.")
    subject = _subject(test)
    meter = Meter(session, {test.service_id: service.daily_limit})
    refused = meter.admit(test.service_id, {Channel.EMAIL.value: 1})
    if refused is not None:
        raise refused
    meter.store()
    version_id = templates.for_a_test(session, test.template_id, test.content, test.address)
    notification = _notification(test, subject, meter)
    session.add(notification)
    session.flush()
    session.add(_delivery(test, notification, version_id))


def nudge() -> None:
    """Wake the workers for a test that has been stored."""
    tasks.nudge({_PRIORITY.value})


def _subject(test: DraftMessage) -> str:
    content = test.content
    source = Source(msgspec.convert(content.format, Format), content.source, content.subject)
    rendered = engine.render(RenderJob("", source, test.fields, isinstance(test.fields, list)))
    return (_MARK + (rendered.subject or content.name))[:_LONGEST_SUBJECT]


def _notification(test: DraftMessage, subject: str, meter: Meter) -> Notification:
    channel = {
        "type": Channel.EMAIL.value,
        "recipient": [test.address],
        "subject": subject,
        "content_type": "html",
        "template_id": test.identifier,
        "fields": test.fields,
    }
    return Notification(
        uid=ids.random_id(),
        service_id=test.service_id,
        priority=_PRIORITY.value,
        status=NotificationStatus.DISPATCHED.value,
        content=json.dumps({"channels": [channel], "priority": _PRIORITY.name}, ensure_ascii=False),
        created_at=meter.moment,
        updated_at=meter.moment,
        accepted_at=meter.moment,
    )


def _delivery(test: DraftMessage, notification: Notification, version_id: int) -> Delivery:
    return Delivery(
        uid=ids.delivery_id(notification.uid, 0, test.address),
        notification_id=notification.id,
        service_id=test.service_id,
        priority=_PRIORITY.value,
        channel_index=0,
        type=Channel.EMAIL.value,
        template_version_id=version_id,
        recipients=[test.address],
        address=test.address,
        status=DeliveryStatus.QUEUED.value,
        due_at=notification.created_at,
        created_at=notification.created_at,
    )
