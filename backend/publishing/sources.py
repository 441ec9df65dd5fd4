"""What the renderer takes of a template: its text, those of all partials and layouts of it, the service's language."""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, cast

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.branding import brands
from backend.db import database as db
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.lib import settings
from backend.lib.problems import FieldError, Problem
from backend.lib.ttl_cache import TtlCache
from backend.publishing import variants
from backend.registry import lookup, owned, templates
from backend.registry.lookup import FoundTemplate
from backend.registry.pins import Pins
from backend.registry.templates import TEMPLATE, TemplateContent
from backend.rendering.model import LANGUAGE, NEUTRAL, NO_LAYOUT, Brand, Format, Partial, Source, Surroundings
from backend.rendering.references import named

# A service that is given another name or brand has it in the messages of other processes after so long.
_SECONDS = 30.0
_MOST = 50
_WITH_LAYOUT = frozenset({"markdown", "text"})


# What every message of a service is surrounded by: its name and brand, those of the installation, its address.


def of_service(service_id: int) -> Surroundings:
    """Return what a service's templates see besides their fields; a service that is new has its name at once."""
    services = _services(db.current())
    found = services.get().get(service_id)
    if found is None:
        services.clear()
        found = services.get().get(service_id)
    return of("", NEUTRAL) if found is None else found


def brand(service_id: int) -> Brand:
    """Return a service's brand."""
    return of_service(service_id).brand


def of(name: str, brand: Brand) -> Surroundings:
    """Return what the templates of a service of this name would see with this brand."""
    current = settings.current()
    environment = current.environment_name or current.env
    return Surroundings(name, environment, environment.lower() == "production", current.base_url, brand)


def clear() -> None:
    """Look again at the next message, since something was changed."""
    _services(db.current()).clear()


@lru_cache(maxsize=8)
def _services(database: Database) -> TtlCache[dict[int, Surroundings]]:
    """Keep what surrounds the messages of all services."""

    def find() -> dict[int, Surroundings]:
        with database.read_beside() as session:
            return {service: of(*said) for service, said in brands.of_services(session).items()}

    return TtlCache(find, seconds=_SECONDS)


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
    """A text with what it names, of which ``pins`` are the published versions; its variants by their languages."""

    source: Source
    pins: Pins
    variants: dict[str, Source] = {}

    @property
    def every(self) -> list[Source]:
        """Return the text itself and all of its variants."""
        return [self.source, *self.variants.values()]


def source_of_version(version: FoundTemplate) -> Source:
    """Return what the renderer takes of a version, with the partials that it was published with."""
    form = cast("Format", version.format)
    parts: tuple[Partial, ...] = ()
    if version.partials:
        parts = tuple(Partial(one.identifier, cast("Format", one.format), one.source) for one in version.partials)
    fragment = version.kind != TEMPLATE
    around = of_service(version.service_id)
    return Source(
        form,
        version.source,
        version.subject,
        parts,
        fragment,
        version.language,
        version.mail_layout,
        item_key(version.batch),
        around,
    )


def unpublished(session: Session, service_id: int, identifier: str, content: TemplateContent) -> FoundTemplate:
    """Return a template as it would be found if this text were published; it has no row, so nothing remembers it.

    Raises:
        Problem: ``invalid_template`` for a template that contains itself.
    """
    pins = resolve(session, service_id, identifier, content).pins
    partials = lookup.versions(session, list(pins.partials.values()))
    return FoundTemplate(
        identifier,
        lookup.UNPUBLISHED,
        0,
        content.format,
        content.source,
        content.subject,
        content.batch,
        content.kind,
        content.repeat_after,
        pins.language,
        pins.mail_layout,
        service_id,
        content.sender,
        content.reply_to,
        tuple(partials[one] for _, one in sorted(pins.partials.items())),
    )


def item_key(batch: Mapping[str, Any] | None) -> str | None:
    """Return the member by which a template knows the items of its batches again, if it names one."""
    found = (batch or {}).get("item_key")
    return found if isinstance(found, str) else None


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
        Problem: ``invalid_template`` for a template that contains itself, which names the way round, and for variants
            that it cannot have.
    """
    said = settings or mail_settings(session, service_id)
    finder = partial(_Finder, session, service_id, instead or {})
    made = _resolved(finder(), service_id, identifier, content, said)
    spoken = content.spoken()
    if not spoken:
        return made
    variants.check(content, made.pins.language)
    others = {}
    for tag, text in spoken.items():
        with variants.at(tag):
            others[tag] = _resolved(finder(), service_id, identifier, text, said)
    pins = msgspec.structs.replace(made.pins, variants={tag: one.pins for tag, one in others.items()})
    return Resolved(made.source, pins, {tag: one.source for tag, one in others.items()})


def _resolved(
    finder: "_Finder", service_id: int, identifier: str, content: TemplateContent, said: MailSettings
) -> Resolved:
    """Find what one text names, without its variants."""
    way = (identifier,) if identifier else ()
    finder.follow(named(_plain(content)), way)
    layout = said.layout if content.kind == TEMPLATE and content.format in _WITH_LAYOUT else None
    if layout is not None and layout != NO_LAYOUT:
        finder.follow([layout], way)
    partials = tuple(
        Partial(name, cast("Format", one.format), one.source) for name, one in sorted(finder.found.items())
    )
    around, language = of_service(service_id), content.language or said.language
    plain = _plain(content)
    source = msgspec.structs.replace(plain, partials=partials, language=language, layout=layout, around=around)
    return Resolved(source, Pins(partials=finder.pins, language=language, mail_layout=layout))


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
    fragment = content.kind != TEMPLATE
    return Source(form, content.source, content.subject, (), fragment, item_key=item_key(content.batch))


def _refused(detail: str) -> Problem:
    return Problem("invalid_template", detail, errors=[FieldError("/source", "invalid_template", detail)])
