"""Templates: an identifier, and immutable versions of which the newest is the published one."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from backend.db.models.registry import Template, TemplateVersion
from backend.lib import clock, ids
from backend.lib.problems import Problem
from backend.registry import provenance
from backend.registry.owned import OwnedRepository, check_identifier
from backend.registry.pins import Pins, pins_of
from backend.registry.provenance import Provenance

_LONGEST_AUTHOR = 160
# PostgreSQL counts versions in 32 bits.
LAST_VERSION = 2**31 - 1
TEMPLATE = "template"


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A template's text in another language; without sample fields of its own it is tried with the template's."""

    source: str
    subject: str | None = None
    sample_fields: Any | None = None


class TemplateContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a version says.

    ``format`` is ``mjml``, ``html``, ``text`` or ``markdown``; ``kind`` is ``template``, or ``partial`` or ``layout``
    for what templates include, import or extend, and nothing is sent with. ``sample_fields`` is an object, or an
    array of objects for batches. ``batch`` may hold ``quiet_seconds``, ``max_wait_seconds``, ``max_items``, ``digest``,
    ``item_key`` and ``only_if_new``. ``repeat_after`` is after how long the same content is new again, as ``24h``.
    ``sender`` and ``reply_to`` are ids or addresses of the service's senders. ``language`` is the BCP 47 tag of the
    text where it is not simply the service's; ``variants`` say the same in other languages, by their tags.
    """

    name: str
    format: str
    source: str
    subject: str | None = None
    sample_fields: Any | None = None
    batch: dict[str, Any] | None = None
    repeat_after: str | None = None
    kind: str = TEMPLATE
    sender: str | None = None
    reply_to: str | None = None
    language: str | None = None
    variants: dict[str, Variant] = {}

    def spoken(self) -> dict[str, "TemplateContent"]:
        """Return the text of each variant, as if it stood alone, by its language."""
        return {tag: self._in(tag, one) for tag, one in sorted(self.variants.items())}

    def unsampled(self) -> "TemplateContent":
        """Return the text without any sample fields."""
        return self.sampled(None, {})

    def sampled(self, fields: Any | None, of_variants: Mapping[str, Any]) -> "TemplateContent":
        """Return the text with these sample fields, and its variants with theirs, by language."""
        variants = {
            tag: msgspec.structs.replace(one, sample_fields=of_variants.get(tag)) for tag, one in self.variants.items()
        }
        return msgspec.structs.replace(self, sample_fields=fields, variants=variants)

    def _in(self, tag: str, variant: Variant) -> "TemplateContent":
        sample = self.sample_fields if variant.sample_fields is None else variant.sample_fields
        return msgspec.structs.replace(
            self,
            source=variant.source,
            subject=variant.subject,
            sample_fields=sample,
            language=tag,
            variants={},
        )

    def digest(self) -> str:
        """Return the SHA-256 of the canonical content, by which a repetition is known, in hexadecimal."""
        said = msgspec.to_builtins(self)
        if self.kind == TEMPLATE:  # as it was before there were other kinds
            del said["kind"]
        for later in ("repeat_after", "sender", "reply_to", "language", "variants"):
            if not said[later]:
                del said[later]
        return hashlib.sha256(ids.canonical(said)).hexdigest()


# What a template's form as it is sent in, the row of a version and that of a draft have alike.
_ALIKE = ("name", "format", "source", "subject", "repeat_after", "kind", "sender", "reply_to")


def said_by(form: object, **other: Any) -> TemplateContent:
    """Return what any form of a template says; ``other`` is what each form has in its own way."""
    return TemplateContent(**{name: getattr(form, name) for name in _ALIKE}, **other)


class TemplateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A template with its published version.

    ``version`` counts from 1, ``version_id`` is the version's row, ``pins`` are what it is made with.
    """

    identifier: str
    version_id: int
    version: int
    content: TemplateContent
    pins: Pins
    created_at: datetime
    updated_at: datetime


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a template; ``version_id`` is its row, ``created_by`` the client or user that published it."""

    version_id: int
    version: int
    content: TemplateContent
    created_at: datetime
    created_by: str
    said: Provenance = Provenance()


class Templates(OwnedRepository[Template]):
    """The rows of templates."""

    model_type = Template


def put(  # noqa: PLR0913 - what it is made with is no part of what it says
    session: Session,
    service_id: int,
    identifier: str,
    content: TemplateContent,
    created_by: str,
    *,
    pins: Pins | None = None,
    said: Provenance | None = None,
) -> tuple[TemplateRecord, bool]:
    """Publish a version and tell whether the template is new; one that was deleted is new again.

    The same content and ``pins`` as the published version's change nothing. A revived template goes on counting its
    versions.

    Raises:
        Problem: ``invalid_identifier``, or ``identifier_taken`` when another service owns the identifier.
    """
    now = clock.now()
    content = completed(content, pins.language if pins else Pins().language)
    new = Template(
        identifier=check_identifier(identifier),
        service_id=service_id,
        current_version=1,
        created_at=now,
        updated_at=now,
    )
    row, inserted = Templates(session=session).claim(new)
    if inserted:
        return _record(row, add_version(session, row.id, 1, content, created_by, pins=pins, said=said)), True
    revived = row.deleted_at is not None
    version = version_row(session, row.id, row.current_version)
    if revived or version is None or not says(version, content, pins):
        row.current_version += 1
        row.updated_at = now
        row.deleted_at = None
        version = add_version(session, row.id, row.current_version, content, created_by, pins=pins, said=said)
    return _record(row, version), revived


def own_version(session: Session, service_id: int, name: str, content: TemplateContent) -> int:
    """Publish a text of Carillon's own by its built-in service, and return its version's id.

    Where a service had such a name before these were kept back, the text goes by a longer one.
    """
    while True:
        try:
            return put(session, service_id, name, content, "Carillon")[0].version_id
        except Problem as problem:
            if problem.code != "identifier_taken":
                raise
            name = f"{name}_"


def completed(content: TemplateContent, language: str) -> TemplateContent:
    """Return a text that says its own language where it has variants: by that, readers choose between them."""
    if not content.variants or content.language is not None:
        return content
    return msgspec.structs.replace(content, language=language)


def get(session: Session, service_id: int, identifier: str) -> TemplateRecord:
    """Return one template of the service.

    Raises:
        Problem: ``invalid_identifier``, or ``not_found``, also for what another service owns.
    """
    row = Templates(session=session).live(service_id, check_identifier(identifier))
    return _record(row, _published(session, row))


def present(session: Session, service_id: int, identifier: str) -> TemplateRecord | None:
    """Return one template of the service, or None if it has none of this identifier.

    Raises:
        Problem: ``invalid_identifier``.
    """
    try:
        return get(session, service_id, identifier)
    except Problem as problem:
        if problem.code != "not_found":
            raise
        return None


def version(session: Session, service_id: int, identifier: str, number: int) -> VersionRecord:
    """Return one published version of a template.

    Raises:
        Problem: ``invalid_identifier``, or ``not_found`` for the template or the version.
    """
    row = Templates(session=session).live(service_id, check_identifier(identifier))
    found = version_row(session, row.id, number) if 0 < number <= LAST_VERSION else None
    if found is None:
        raise Problem("not_found", f"The template {identifier} has no version {number}.")
    return _version(found)


def row_id(session: Session, service_id: int, identifier: str) -> int | None:
    """Return the row of a template of the service, if it has one, deleted or not."""
    return session.scalar(
        select(Template.id).where(Template.service_id == service_id, Template.identifier == identifier)
    )


def versions(
    session: Session, service_id: int, identifier: str, limit: int, before: int | None = None
) -> list[VersionRecord]:
    """Return versions of a template, newest first: ``limit`` of them, those older than ``before``.

    Raises:
        Problem: ``invalid_identifier`` or ``not_found``.
    """
    row = Templates(session=session).live(service_id, check_identifier(identifier))
    statement = select(TemplateVersion).where(TemplateVersion.template_id == row.id, TemplateVersion.number > 0)
    if before is not None:
        statement = statement.where(TemplateVersion.number < before)
    return [_version(one) for one in session.scalars(statement.order_by(TemplateVersion.number.desc()).limit(limit))]


def made_with(session: Session, service_id: int, identifier: str) -> list[TemplateRecord]:
    """Return those of the service's templates, partials and layouts whose published version is made with a partial."""
    own = published(session, service_id, or_(TemplateVersion.partials.is_not(None), TemplateVersion.variants.any()))
    return [one for one in own if identifier in one.pins.named]


def published(session: Session, service_id: int, *conditions: ColumnElement[bool]) -> list[TemplateRecord]:
    """Return the service's templates, partials and layouts whose published version meets the conditions, in order."""
    rows = session.execute(
        select(Template, TemplateVersion)
        .join(TemplateVersion, TemplateVersion.template_id == Template.id)
        .where(
            Template.service_id == service_id,
            Template.deleted_at.is_(None),
            TemplateVersion.number == Template.current_version,
            *conditions,
        )
        .order_by(Template.identifier)
    )
    return [_record(row, version) for row, version in rows]


def delete(session: Session, service_id: int, identifier: str) -> None:
    """Delete a template; its identifier stays the service's, and putting it again revives it.

    What was accepted before still finds its version.

    Raises:
        Problem: ``invalid_identifier`` or ``not_found``.
    """
    row = Templates(session=session).live(service_id, check_identifier(identifier), lock=True)
    row.deleted_at = row.updated_at = clock.now()


def next_below(session: Session, template_id: int) -> int:
    """Return the next number below 0; whoever asks has the template's row locked."""
    lowest = session.scalar(select(func.min(TemplateVersion.number)).where(TemplateVersion.template_id == template_id))
    return min(lowest or 0, 0) - 1


def says(version: TemplateVersion, content: TemplateContent, pins: Pins | None) -> bool:
    """Tell whether a version is of this text, made with this."""
    return version.content_hash == content.digest() and pins_of(version) == (pins or Pins())


def add_version(  # noqa: PLR0913 - as put
    session: Session,
    template_id: int,
    number: int,
    content: TemplateContent,
    created_by: str,
    *,
    pins: Pins | None,
    said: Provenance | None = None,
) -> TemplateVersion:
    """Store a version with its variants, whose numbers are below 0; whoever does so has the template's row locked."""
    made = provenance.columns(said or Provenance()) | {
        "template_id": template_id,
        "created_at": clock.now(),
        "created_by": created_by[:_LONGEST_AUTHOR],
    }
    with_it = pins or Pins()
    version = TemplateVersion(number=number, **_columns(content, with_it), **made)
    session.add(version)
    session.flush()
    below = next_below(session, template_id) if content.variants else 0
    for position, (tag, text) in enumerate(content.spoken().items()):
        of_variant = with_it.variants.get(tag, Pins(language=tag))
        own = {"sample_fields": content.variants[tag].sample_fields, "number": below - position}
        version.variants.append(TemplateVersion(**_columns(text, of_variant) | own, **made))
    session.flush()
    return version


def _columns(content: TemplateContent, pins: Pins) -> dict[str, Any]:
    """Return what a version's row says of its text, without its variants."""
    said = msgspec.structs.asdict(content)
    del said["variants"]
    return said | {
        "content_hash": content.digest(),
        "partials": pins.partials or None,
        "language": content.language or pins.language,
        "own_language": content.language is not None,
        "mail_layout": pins.mail_layout,
    }


def version_row(session: Session, template_id: int, number: int) -> TemplateVersion | None:
    """Return the row of a version, if there is one of this number."""
    chosen = (TemplateVersion.template_id == template_id) & (TemplateVersion.number == number)
    return session.scalars(select(TemplateVersion).where(chosen)).one_or_none()


def _published(session: Session, row: Template) -> TemplateVersion:
    found = version_row(session, row.id, row.current_version)
    assert found is not None  # noqa: S101 - what is live has been published
    return found


def content_of(version: TemplateVersion) -> TemplateContent:
    """Return what a version's row says."""
    return said_by(
        version,
        sample_fields=version.sample_fields,
        batch=version.batch,
        language=version.language if version.own_language else None,
        variants={
            one.language: Variant(source=one.source, subject=one.subject, sample_fields=one.sample_fields)
            for one in version.variants
        },
    )


def _version(version: TemplateVersion) -> VersionRecord:
    return VersionRecord(
        version_id=version.id,
        version=version.number,
        content=content_of(version),
        created_at=version.created_at,
        created_by=version.created_by,
        said=provenance.of_version(version),
    )


def _record(row: Template, version: TemplateVersion) -> TemplateRecord:
    return TemplateRecord(
        identifier=row.identifier,
        version_id=version.id,
        version=version.number,
        content=content_of(version),
        pins=pins_of(version),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
