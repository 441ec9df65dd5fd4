"""Templates as lists show them, without their texts."""

from datetime import datetime
from typing import Any, Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.registry import Template, TemplateVersion
from backend.registry.templates import TEMPLATE, Templates


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
