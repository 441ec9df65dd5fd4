"""What the renderer takes of a template: its text, those of all partials and layouts of it, the service's language."""

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db import session as db
from backend.db.models.accounts import Service
from backend.lib.problems import FieldError, Problem
from backend.registry import owned, templates
from backend.registry.lookup import FoundTemplate
from backend.registry.templates import TEMPLATE, Pins, TemplateContent
from backend.rendering.model import LANGUAGE, NO_LAYOUT, Format, Partial, Source
from backend.rendering.references import named

_MOST = 50
_WITH_LAYOUT = frozenset({"markdown", "text"})


class MailSettings(msgspec.Struct, frozen=True):
    """What a service says of all its messages, and its templates are published with.

    ``language`` is a BCP 47 tag. ``layout`` surrounds the HTML of Markdown and text e-mails: the identifier of one of
    the service's, ``none``, or null for ours.
    """

    language: str = LANGUAGE
    layout: str | None = None


def mail_settings(session: Session, service_id: int) -> MailSettings:
    """Return what a service says of its messages."""
    row = session.execute(select(Service.language, Service.mail_layout).where(Service.id == service_id)).one_or_none()
    return MailSettings(*row) if row is not None else MailSettings()


class Resolved(msgspec.Struct, frozen=True):
    """A text with what it names, of which ``pins`` are the published versions."""

    source: Source
    pins: Pins


def source_of_version(version: FoundTemplate) -> Source:
    """Return what the renderer takes of a version, with the partials that it was published with."""
    form = cast("Format", version.format)
    parts: tuple[Partial, ...] = ()
    if version.partials:
        parts = tuple(Partial(one.identifier, cast("Format", one.format), one.source) for one in version.partials)
    fragment = version.kind != TEMPLATE
    return Source(form, version.source, version.subject, parts, fragment, version.language, version.mail_layout)


def source_of(content: TemplateContent, service_id: int) -> Source:
    """Return what the renderer takes of a text that is not published, with the partials of this moment.

    Raises:
        Problem: ``invalid_template`` for partials that contain each other.
    """
    with db.current().read() as session:
        return resolve(session, service_id, "", content).source


def resolve(  # noqa: PLR0913 - a text, and what to take in the place of what is stored
    session: Session,
    service_id: int,
    identifier: str,
    content: TemplateContent,
    *,
    instead: Mapping[str, TemplateContent] | None = None,
    settings: MailSettings | None = None,
) -> Resolved:
    """Find the partials and layouts that a text is made with, and those that they name in turn.

    ``instead`` are texts that are not published yet, by their identifiers; ``settings`` take the place of what the
    service has. What is not there is left out: the check of the template says so, with its line.

    Raises:
        Problem: ``invalid_template`` for a template that contains itself, which names the way round.
    """
    finder = _Finder(session, service_id, instead or {})
    way = (identifier,) if identifier else ()
    finder.follow(named(_plain(content)), way)
    said = settings or mail_settings(session, service_id)
    layout = said.layout if content.kind == TEMPLATE and content.format in _WITH_LAYOUT else None
    if layout is not None and layout != NO_LAYOUT:
        finder.follow([layout], way)
    partials = tuple(
        Partial(name, cast("Format", one.format), one.source) for name, one in sorted(finder.found.items())
    )
    source = msgspec.structs.replace(_plain(content), partials=partials, language=said.language, layout=layout)
    return Resolved(source, Pins(partials=finder.pins, language=said.language, mail_layout=layout))


class _Finder:
    def __init__(self, session: Session, service_id: int, instead: Mapping[str, TemplateContent]) -> None:
        self._session = session
        self._service_id = service_id
        self._instead = instead
        self.found: dict[str, TemplateContent] = {}
        self.pins: dict[str, int] = {}

    def follow(self, names: Sequence[str], way: tuple[str, ...]) -> None:
        """Find what a text names; ``way`` leads to it."""
        for name in filter(owned.is_identifier, names):
            if name in way:
                round_trip = " includes ".join((*way[way.index(name) :], name))
                raise _refused(f"Partials and layouts cannot contain each other in a circle: {round_trip}.")
            part = self._part(name)
            if part is not None:
                self.follow(named(_plain(part)), (*way, name))

    def _part(self, name: str) -> TemplateContent | None:
        """Return a partial or layout that was not followed before; every way to it is walked all the same."""
        if name in self._instead:
            part = self._instead[name]
        elif name in self.found:
            part = self.found[name]
        else:
            record = templates.present(self._session, self._service_id, name)
            if record is None or record.content.kind == TEMPLATE:
                return None
            part = record.content
            self.pins[name] = record.version_id
        self.found[name] = part
        if len(self.found) > _MOST:
            raise _refused(f"A template is made with at most {_MOST} partials and layouts.")
        return part


def _plain(content: TemplateContent) -> Source:
    form = msgspec.convert(content.format, Format)
    return Source(form, content.source, content.subject, (), content.kind != TEMPLATE)


def _refused(detail: str) -> Problem:
    return Problem("invalid_template", detail, errors=[FieldError("/source", "invalid_template", detail)])
