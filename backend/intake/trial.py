"""Sending a draft to the person who edits it: a real message on the usual way, marked as a test.

It reaches nobody else, so that a service on trial may send it too, also to an administrator who is no member.
"""

from typing import Any

import msgspec
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.intake import modes, ready
from backend.intake.quotas import Meter
from backend.intake.ready import ReadyMessage
from backend.lib.fair_pool import Share
from backend.publishing.sources import resolve, source_of
from backend.registry import drafts
from backend.registry.templates import TemplateContent
from backend.rendering.model import RenderJob
from backend.rendering.pool import PREVIEWS

_MARK = "[Test] "
_LONGEST_SUBJECT = 500


class DraftMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One test: the text, an object of fields or, for a batch, the list of them, and the e-mail address it goes to."""

    service_id: int
    template_id: int
    identifier: str
    content: TemplateContent
    fields: Any
    address: str


def store(session: Session, test: DraftMessage) -> None:
    """Store a test's notification and its delivery, counted like every other message; workers wake after the commit.

    Raises:
        Problem: if the text does not render, the service may send no more today, or it is switched off.
    """
    service = ready.active(session, test.service_id)
    subject = _subject(test)
    meter = Meter(session, {test.service_id: service.daily_limit})
    pins = resolve(session, test.service_id, test.identifier, test.content).pins
    version_id = drafts.for_a_test(session, test.template_id, test.content, test.address, pins)
    message = ReadyMessage(
        service_id=test.service_id,
        channel=Channel.EMAIL,
        addresses=(test.address,),
        template=test.identifier,
        template_version_id=version_id,
        fields=test.fields,
        subject=subject,
        recipients=(test.address,),
        mode=modes.of_service(live=service.live),
    )
    ready.accept(session, meter, [message])


def _subject(test: DraftMessage) -> str:
    content = test.content
    job = RenderJob("", source_of(content, test.service_id), test.fields, isinstance(test.fields, list))
    rendered = PREVIEWS.render(job, Share(test.service_id))
    return (_MARK + (rendered.subject or content.name))[:_LONGEST_SUBJECT]
