"""Templates: an identifier, and immutable versions of which the newest is the published one."""

import hashlib
from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import ColumnElement, exists, func, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from backend.db.models.notifications import Delivery
from backend.db.models.registry import Template, TemplateVersion
from backend.lib import clock, ids
from backend.lib.problems import Problem
from backend.registry.owned import OwnedRepository, check_identifier

_LONGEST_AUTHOR = 160
TEMPLATE = "template"


class Pins(msgspec.Struct, frozen=True, kw_only=True):
    """What a version is made with beside its own text.

    ``partials`` are the rows of the versions of partials and layouts, by their identifiers; ``language`` and
    ``mail_layout`` are as the service has them.
    """

    partials: dict[str, int] = {}
    language: str = "en"
    mail_layout: str | None = None


class TemplateContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a version says.

    ``format`` is ``mjml``, ``html``, ``text`` or ``markdown``; ``kind`` is ``template``, or ``partial`` or ``layout``
    for what templates include, import or extend, and nothing is sent with. ``sample_fields`` is an object, or an
    array of objects for batches. ``batch`` may hold ``quiet_seconds``, ``max_wait_seconds`` and ``max_items``.
    ``repeat_after`` is after how long the same content is new again, as ``24h``; None for never.
    """

    name: str
    format: str
    source: str
    subject: str | None = None
    sample_fields: Any | None = None
    batch: dict[str, Any] | None = None
    repeat_after: str | None = None
    kind: str = TEMPLATE

    def digest(self) -> str:
        """Return the SHA-256 of the canonical content, by which a repetition is known, in hexadecimal."""
        said = msgspec.to_builtins(self)
        if self.kind == TEMPLATE:  # as it was before there were other kinds
            del said["kind"]
        if self.repeat_after is None:
            del said["repeat_after"]
        return hashlib.sha256(ids.canonical(said)).hexdigest()


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


class TemplateSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A template as a list shows it, without its text."""

    identifier: str
    name: str
    kind: Literal["template", "partial", "layout"]
    format: Literal["mjml", "html", "text", "markdown"]
    version: int
    subject: str | None
    created_at: datetime
    updated_at: datetime


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a template; ``version_id`` is its row, ``created_by`` the client or user that published it."""

    version_id: int
    version: int
    content: TemplateContent
    created_at: datetime
    created_by: str


_SHOWN = (TemplateVersion.name, TemplateVersion.kind, TemplateVersion.format, TemplateVersion.subject)


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
) -> tuple[TemplateRecord, bool]:
    """Publish a version and tell whether the template is new; one that was deleted is new again.

    The same content and ``pins`` as the published version's change nothing. A revived template goes on counting its
    versions.

    Raises:
        Problem: ``invalid_identifier``, or ``identifier_taken`` when another service owns the identifier.
    """
    now = clock.now()
    new = Template(
        identifier=check_identifier(identifier),
        service_id=service_id,
        current_version=1,
        created_at=now,
        updated_at=now,
    )
    row, inserted = Templates(session=session).claim(new)
    if inserted:
        return _record(row, _add(session, row.id, 1, content, created_by, pins=pins)), True
    revived = row.deleted_at is not None
    version = version_row(session, row.id, row.current_version)
    if revived or version is None or not _says(version, content, pins):
        row.current_version += 1
        row.updated_at = now
        row.deleted_at = None
        version = _add(session, row.id, row.current_version, content, created_by, pins=pins)
    return _record(row, version), revived


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
    found = version_row(session, row.id, number) if number > 0 else None
    if found is None:
        raise Problem("not_found", f"The template {identifier} has no version {number}.")
    return _version(found)


def page(session: Session, service_id: int, limit: int, after: str | None = None) -> list[TemplateSummary]:
    """Return the service's templates in order of identifier, ``limit`` of them beginning behind ``after``."""
    rows = Templates(session=session).page(service_id, limit, after)
    statement = (
        select(TemplateVersion.template_id, *_SHOWN)
        .join(Template, Template.id == TemplateVersion.template_id)
        .where(Template.id.in_([row.id for row in rows]), TemplateVersion.number == Template.current_version)
    )
    published = {template_id: shown for template_id, *shown in session.execute(statement)}
    return [_summary(row, published[row.id]) for row in rows]


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
    found = session.scalars(statement.order_by(TemplateVersion.number.desc()).limit(limit))
    return [_version(version) for version in found]


def made_with(session: Session, service_id: int, identifier: str) -> list[TemplateRecord]:
    """Return those of the service's templates, partials and layouts whose published version is made with a partial."""
    found = published(session, service_id, TemplateVersion.partials.is_not(None))
    return [one for one in found if identifier in one.pins.partials]


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


def for_a_test(
    session: Session, template_id: int, content: TemplateContent, created_by: str, pins: Pins | None = None
) -> int:
    """Keep a draft's text as a version that is not published, so that it can be sent as a test; return its row's id.

    Its number is below 0. Those of earlier tests go when no delivery needs them any more.
    """
    chosen = (TemplateVersion.template_id == template_id) & (TemplateVersion.number < 0)
    same = select(TemplateVersion).where(chosen, TemplateVersion.content_hash == content.digest())
    for one in session.scalars(same):
        if _says(one, content, pins):
            return one.id
    used = exists().where(Delivery.template_version_id == TemplateVersion.id)
    session.execute(delete_rows(TemplateVersion).where(chosen, ~used).execution_options(synchronize_session=False))
    lowest = session.scalar(select(func.min(TemplateVersion.number)).where(TemplateVersion.template_id == template_id))
    number = min(lowest or 0, 0) - 1
    return _add(session, template_id, number, content, created_by, pins=pins).id


def _says(version: TemplateVersion, content: TemplateContent, pins: Pins | None) -> bool:
    return version.content_hash == content.digest() and _pins(version) == (pins or Pins())


def _pins(version: TemplateVersion) -> Pins:
    return Pins(partials=version.partials or {}, language=version.language, mail_layout=version.mail_layout)


def _add(  # noqa: PLR0913 - as put
    session: Session, template_id: int, number: int, content: TemplateContent, created_by: str, *, pins: Pins | None
) -> TemplateVersion:
    with_it = pins or Pins()
    version = TemplateVersion(
        template_id=template_id,
        number=number,
        content_hash=content.digest(),
        created_at=clock.now(),
        created_by=created_by[:_LONGEST_AUTHOR],
        partials=with_it.partials or None,
        language=with_it.language,
        mail_layout=with_it.mail_layout,
        **msgspec.structs.asdict(content),
    )
    session.add(version)
    session.flush()
    return version


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
    return TemplateContent(
        name=version.name,
        format=version.format,
        source=version.source,
        subject=version.subject,
        sample_fields=version.sample_fields,
        batch=version.batch,
        repeat_after=version.repeat_after,
        kind=version.kind,
    )


def _version(version: TemplateVersion) -> VersionRecord:
    return VersionRecord(
        version_id=version.id,
        version=version.number,
        content=content_of(version),
        created_at=version.created_at,
        created_by=version.created_by,
    )


def _record(row: Template, version: TemplateVersion) -> TemplateRecord:
    return TemplateRecord(
        identifier=row.identifier,
        version_id=version.id,
        version=version.number,
        content=content_of(version),
        pins=_pins(version),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _summary(row: Template, shown: Any) -> TemplateSummary:
    name, kind, form, subject = shown
    return TemplateSummary(
        identifier=row.identifier,
        name=name,
        kind=kind,
        format=form,
        version=row.current_version,
        subject=subject,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
