"""Changing what a service says of all its messages: every template is published anew with it, or none is."""

import msgspec
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.db.models.accounts import Service
from backend.lib.fair_pool import Share
from backend.lib.languages import language_tag
from backend.lib.problems import FieldError, Problem
from backend.publishing import publish, sources
from backend.publishing.publish import Change, User
from backend.publishing.sources import MailSettings
from backend.registry import templates
from backend.registry.pins import Pins
from backend.registry.templates import TemplateRecord
from backend.rendering.model import NO_LAYOUT, Source
from backend.rendering.pool import PREVIEWS


class SettingsPlan(msgspec.Struct, frozen=True):
    """What a change of settings would publish; ``probe`` is a message of which the layout is tried."""

    before: MailSettings
    after: MailSettings
    users: list[User]
    probe: Source


def layouts(session: Session, service_id: int) -> list[TemplateRecord]:
    """Return those of the service's layouts that can surround Markdown and text: those in HTML."""
    return [one for one in templates.published(session, service_id) if _surrounds(one)]


def plan(session: Session, service_id: int, language: str, layout: str | None) -> SettingsPlan:
    """Look up what a change of settings would publish.

    Raises:
        Problem: ``invalid_value`` for a language that there is not, or what is no layout of the service in HTML.
    """
    try:
        after = MailSettings(language_tag(language), layout)
    except ValueError as error:
        raise _refused("/language", str(error)) from None
    if layout is not None and layout != NO_LAYOUT:
        record = templates.present(session, service_id, layout)
        if record is None or not _surrounds(record):
            raise _refused("/mail_layout", f"This service has no layout in HTML named {layout[:64]}.")
    records = _changing(session, service_id, after)
    users = publish.users_of(session, service_id, records, settings=after)
    text = templates.TemplateContent(name="", format="markdown", source="")
    probe = sources.resolve(session, service_id, "", text, settings=after).source
    return SettingsPlan(sources.mail_settings(session, service_id), after, users, probe)


def changes(planned: SettingsPlan, share: Share) -> list[Change]:
    """Render every template that changes, with its sample fields, before and after.

    Raises:
        Problem: ``invalid_value`` for a layout without a place for the content; as ``publish.changes``.
    """
    try:
        PREVIEWS.check(planned.probe, None, share)
    except Problem as problem:
        if problem.code != "invalid_template":
            raise
        raise _refused("/mail_layout", problem.detail) from None
    return publish.changes(planned.users, share)


def put(session: Session, service_id: int, planned: SettingsPlan, by: Actor) -> list[TemplateRecord]:
    """Change the settings, and publish anew what is made with them, in the transaction of ``session``.

    Returns the templates that were published anew.

    Raises:
        Problem: ``draft_changed`` if one of them was published meanwhile.
    """
    records = _changing(session, service_id, planned.after)
    if [one.version_id for one in records] != [one.record.version_id for one in planned.users]:
        raise Problem("draft_changed", "A template of this service was published meanwhile; look again.")
    service = session.get_one(Service, service_id)
    service.language, service.mail_layout = planned.after.language, planned.after.layout
    session.flush()
    anew: list[TemplateRecord] = []
    for one in publish.inner_first(records):
        pins = sources.resolve(session, service_id, one.identifier, one.content).pins
        anew.append(templates.put(session, service_id, one.identifier, one.content, by.name, pins=pins)[0])
    if anew or planned.before != planned.after:
        said = {"language": service.language, "mail_layout": service.mail_layout, "published_anew": len(anew)}
        audit.record(session, by, "service.changed", service.name, service_id=service_id, detail=said)
    return anew


def _changing(session: Session, service_id: int, after: MailSettings) -> list[TemplateRecord]:
    """Return the templates that are made with other settings than these."""

    def pins(record: TemplateRecord) -> Pins:
        return sources.resolve(session, service_id, record.identifier, record.content, settings=after).pins

    return [one for one in templates.published(session, service_id) if pins(one) != one.pins]


def _surrounds(record: TemplateRecord) -> bool:
    return record.content.kind == "layout" and record.content.format == "html"


def _refused(pointer: str, detail: str) -> Problem:
    return Problem("invalid_value", detail, errors=[FieldError(pointer, "invalid_value", detail)])
