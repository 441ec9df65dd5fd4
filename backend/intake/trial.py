"""Sending a draft to the person who edits it: a real message on the usual way, marked as a test."""

from typing import Any

import msgspec
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db.models.notifications import Priority
from backend.delivery import tasks
from backend.intake import lookup, ready
from backend.intake.ready import ReadyMessage
from backend.intake.usage import Meter
from backend.lib.fair import Share
from backend.lib.problems import Problem
from backend.publishing.sources import resolve, source_of
from backend.registry import templates
from backend.registry.templates import TemplateContent
from backend.rendering.model import RenderJob
from backend.rendering.pool import PREVIEWS

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
    pins = resolve(session, test.service_id, test.identifier, test.content).pins
    version_id = templates.for_a_test(session, test.template_id, test.content, test.address, pins)
    message = ReadyMessage(
        service_id=test.service_id,
        channel=Channel.EMAIL,
        address=test.address,
        template=test.identifier,
        template_version_id=version_id,
        fields=test.fields,
        subject=subject,
        priority=_PRIORITY,
        recipients=(test.address,),
    )
    ready.store(session, message, meter.moment)


def nudge() -> None:
    """Wake the workers for a test that has been stored."""
    tasks.nudge({_PRIORITY.value: ()})


def _subject(test: DraftMessage) -> str:
    content = test.content
    job = RenderJob("", source_of(content, test.service_id), test.fields, isinstance(test.fields, list))
    rendered = PREVIEWS.render(job, Share(test.service_id))
    return (_MARK + (rendered.subject or content.name))[:_LONGEST_SUBJECT]
