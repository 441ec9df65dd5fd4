"""What the renderer takes of a template: its text with those of all partials and layouts that it names."""

from collections.abc import Mapping
from typing import cast

import msgspec
from sqlalchemy.orm import Session

from backend.db import session as db
from backend.lib.problems import FieldError, Problem
from backend.registry import owned, templates
from backend.registry.lookup import FoundTemplate
from backend.registry.templates import TEMPLATE, Pins, TemplateContent
from backend.rendering.model import Format, Partial, Source
from backend.rendering.references import named

_MOST = 50


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
    return Source(form, version.source, version.subject, parts, version.kind != TEMPLATE)


def source_of(content: TemplateContent, service_id: int) -> Source:
    """Return what the renderer takes of a text that is not published, with the partials of this moment.

    Raises:
        Problem: ``invalid_template`` for partials that contain each other.
    """
    plain = _plain(content)
    if not any(map(owned.is_identifier, named(plain))):
        return plain
    with db.current().read() as session:
        return resolve(session, service_id, "", content).source


def resolve(
    session: Session,
    service_id: int,
    identifier: str,
    content: TemplateContent,
    *,
    instead: Mapping[str, TemplateContent] | None = None,
) -> Resolved:
    """Find the partials and layouts that a text names, and those that they name in turn.

    ``instead`` are texts that are not published yet, by their identifiers. What is not there is left out: the check of
    the template says so, with its line.

    Raises:
        Problem: ``invalid_template`` for a template that contains itself, which names the way round.
    """
    finder = _Finder(session, service_id, instead or {})
    finder.follow(content, (identifier,) if identifier else ())
    plain = _plain(content)
    partials = tuple(
        Partial(name, cast("Format", one.format), one.source) for name, one in sorted(finder.found.items())
    )
    return Resolved(msgspec.structs.replace(plain, partials=partials), finder.pins)


class _Finder:
    def __init__(self, session: Session, service_id: int, instead: Mapping[str, TemplateContent]) -> None:
        self._session = session
        self._service_id = service_id
        self._instead = instead
        self.found: dict[str, TemplateContent] = {}
        self.pins: Pins = {}

    def follow(self, content: TemplateContent, way: tuple[str, ...]) -> None:
        """Find what a text names; ``way`` leads to it."""
        for name in filter(owned.is_identifier, named(_plain(content))):
            if name in way:
                round_trip = " includes ".join((*way[way.index(name) :], name))
                raise _refused(f"Partials and layouts cannot contain each other in a circle: {round_trip}.")
            part = self._part(name)
            if part is not None:
                self.follow(part, (*way, name))

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
