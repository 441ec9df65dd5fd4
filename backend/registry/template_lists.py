"""Templates as lists show them, without their texts: those of the API, of pages, and of forms that choose one."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.registry import Template, TemplateVersion
from backend.registry import drafts, provenance, template_usage
from backend.registry.templates import TEMPLATE, Format, Kind, Templates


class TemplateSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A template as a list shows it, without its text."""

    identifier: str
    name: str
    kind: Kind
    format: Format
    version: int
    subject: str | None
    created_at: datetime
    updated_at: datetime


class EveryRow(msgspec.Struct, frozen=True):
    """A published template or a draft in the list of its editors; ``version`` is None before the first is published."""

    identifier: str
    name: str
    kind: str
    format: str
    version: int | None
    drafted_by: str | None
    changed_at: datetime
    used_at: datetime | None
    locked: bool = False


_AT_ONCE = 200
_SHOWN = (TemplateVersion.name, TemplateVersion.kind, TemplateVersion.format, TemplateVersion.subject)


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


def every(session: Session, service_id: int) -> list[EveryRow]:
    """Return all of a service's templates, what is published and what is in draft, in order of name."""
    used = template_usage.last_used(session, service_id)
    rows: dict[str, EveryRow] = {}
    after: str | None = None
    while some := page(session, service_id, _AT_ONCE, after):
        for one in some:
            moment = used.get(one.identifier)
            rows[one.identifier] = EveryRow(
                one.identifier, one.name, one.kind, one.format, one.version, None, one.updated_at, moment
            )
        after = some[-1].identifier
    for draft in drafts.in_draft(session, service_id):
        shown, text = rows.get(draft.identifier), draft.content
        version, moment = (shown.version, shown.used_at) if shown else (None, None)
        rows[draft.identifier] = EveryRow(
            draft.identifier, text.name, text.kind, text.format, version, draft.updated_by, draft.updated_at, moment
        )
    for identifier in provenance.locks(session, service_id, list(rows)):
        rows[identifier] = msgspec.structs.replace(rows[identifier], locked=True)
    return sorted(rows.values(), key=lambda row: (row.name.casefold(), row.identifier))


def fitting(rows: Iterable[EveryRow], text: str, form: str) -> list[EveryRow]:
    """Return the templates whose name or identifier holds ``text`` in any case, of the format ``form`` if given."""
    wanted = text.strip().casefold()
    return [
        row
        for row in rows
        if (not form or row.format == form) and (wanted in row.name.casefold() or wanted in row.identifier.casefold())
    ]


def parts(session: Session, service_id: int) -> list[tuple[str, str]]:
    """Return the identifier and the format of each published partial and layout of a service, in order."""
    found = session.execute(
        select(Template.identifier, TemplateVersion.format)
        .join(TemplateVersion, TemplateVersion.template_id == Template.id)
        .where(
            Template.service_id == service_id,
            Template.deleted_at.is_(None),
            TemplateVersion.number == Template.current_version,
            TemplateVersion.kind != TEMPLATE,
        )
        .order_by(Template.identifier)
    )
    return [(identifier, form) for identifier, form in found]


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
