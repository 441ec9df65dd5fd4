"""Carillon's own e-mails to people: invitations and ways back in, sent through the engine like any other message.

They belong to a built-in service, go out first, and wait in the outbox where there is no provider for e-mail.
"""

from functools import cache
from urllib.parse import urlsplit

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import services
from backend.channels.base import Channel
from backend.db.models.notifications import Priority
from backend.intake import ready
from backend.intake.ready import ReadyMessage
from backend.lib import clock, resources, settings
from backend.registry import templates
from backend.registry.templates import TemplateContent

TEMPLATE = "CARILLON_LINK"
_SOURCE = resources.folder("notification_templates") / "carillon" / "link.mjml"
_AUTHOR = "Carillon"


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One e-mail with a link; ``path`` is the link's address in this installation, whose secret nobody else sees."""

    subject: str
    heading: str
    opening: str
    button: str
    note: str
    path: str

    def __repr__(self) -> str:
        return f"Letter(subject={self.subject!r})"


def send(session: Session, address: str, letter: Letter) -> None:
    """Store the e-mail in the transaction of what it tells about; workers are woken after the commit."""
    service = services.own_service(session)
    version = templates.put(session, service.id, TEMPLATE, _content(), _AUTHOR)[0]
    message = ReadyMessage(
        service_id=service.id,
        channel=Channel.EMAIL,
        addresses=(address,),
        template=TEMPLATE,
        template_version_id=version.version_id,
        fields=_fields(letter),
        subject=letter.subject,
        priority=Priority.HIGH,
    )
    ready.store(session, [message], clock.now())


def _fields(letter: Letter) -> dict[str, str | None]:
    base = settings.current().base_url
    return {
        "heading": letter.heading,
        "opening": letter.opening,
        "button": letter.button,
        "note": letter.note,
        "link": f"{base}{letter.path}",
        "host": urlsplit(base).hostname,
    }


@cache
def _content() -> TemplateContent:
    return TemplateContent(name="A link for a person", format="mjml", source=_SOURCE.read_text(encoding="utf-8"))
