"""Publishing a draft after a look at what it would break; throwing it away; deleting a template."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from backend.accounts import audit
from backend.db import session
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Place
from backend.portal.forms import Faults
from backend.portal.pages import go, page
from backend.portal.templates_pages import previewing
from backend.registry import comparison, drafts, samples, template_usage, templates
from backend.registry.drafts import DraftConflict, Key, Working
from backend.registry.templates import TemplateContent
from backend.reports import template_preview, template_trial
from backend.reports.template_preview import Preview
from backend.reports.template_trial import Trials


class PublishForm(msgspec.Struct, kw_only=True):
    """What the publish page sends: the draft's revision that was looked at, and whether to publish what breaks."""

    revision: int = 0
    anyway: str = ""


class DeleteForm(msgspec.Struct, kw_only=True):
    """What the delete page sends: the identifier, written out."""

    identifier: str = ""


class Look(msgspec.Struct, frozen=True):
    """What is known of a draft before it is published."""

    present: Working
    published: TemplateContent | None
    preview: Preview
    trials: Trials


UrlEncoded = RequestEncodingType.URL_ENCODED


def _look(place: Place, identifier: str) -> Look:
    with session.current().read() as reading:
        present = drafts.working(reading, Key(place.service_id, identifier))
        published = None
        if present.published is not None:
            published = templates.get(reading, place.service_id, identifier).content
        fields = samples.first_fields(reading, present.template_id)
        payloads = template_usage.last_payloads(reading, place.service_id, identifier)
    batch = isinstance(fields, list)
    preview = template_preview.preview(present.content, {} if fields is None else fields, place.share, batch=batch)
    trials = template_trial.try_payloads(present.content, published, payloads, place.share)
    return Look(present, published, preview, trials)


@get("/templates/{identifier:str}/publish", guards=[access.editors], sync_to_thread=True)
def look(place: NamedDependency[Place], identifier: FromPath[str]) -> Response[Any]:
    """Show what publishing the draft would do."""
    return _page(place, _look(place, identifier))


@post("/templates/{identifier:str}/publish", guards=[access.editors], sync_to_thread=True)
def publish(
    place: NamedDependency[Place],
    identifier: FromPath[str],
    data: Annotated[PublishForm, Body(media_type=UrlEncoded)],
) -> Response[Any]:
    """Publish the draft; what would break the last real messages is published only when that was said."""
    found = _look(place, identifier)
    content = found.present.content
    if not content.source.strip() or template_preview.refusal(content, place.share) is not None:
        return _page(place, found, status_code=422)
    if found.trials.broken and not data.anyway:
        return _page(place, found, status_code=422)
    try:
        with session.current().write() as transaction:
            key = Key(place.service_id, identifier)
            record = drafts.publish(transaction, key, data.revision, place.viewer.email)
            detail = {"version": record.version, "would_break": len(found.trials.broken)}
            audit.record(
                transaction, place.actor, "template.published", identifier, service_id=place.service_id, detail=detail
            )
    except DraftConflict:
        return _page(place, _look(place, identifier), status_code=409, changed=True)
    address = place.address(f"templates/{identifier}")
    return go(address, done=f"Version {record.version} is published: messages are made from it from now on.")


def _page(place: Place, found: Look, *, status_code: int = 200, changed: bool = False) -> Response[Any]:
    rows = comparison.compare(found.published.source, found.present.content.source) if found.published else []
    refusal = template_preview.refusal(found.present.content, place.share)
    if not found.present.content.source.strip():
        refusal = previewing.EMPTY
    return page(
        "templates/publish.html",
        place.viewer,
        current="templates",
        place=place,
        status_code=status_code,
        look=found,
        refusal=refusal,
        changed=changed,
        added=sum(row.kind in {"added", "changed"} for row in rows),
        removed=sum(row.kind in {"removed", "changed"} for row in rows),
    )


@post("/templates/{identifier:str}/discard", guards=[access.editors], sync_to_thread=True)
def discard(place: NamedDependency[Place], identifier: FromPath[str]) -> Response[Any]:
    """Throw the draft away; its text is kept as a copy."""
    with session.current().write() as transaction:
        key = Key(place.service_id, identifier)
        present = drafts.working(transaction, key)
        drafts.discard(transaction, key, place.viewer.email)
        audit.record(transaction, place.actor, "template.draft_discarded", identifier, service_id=place.service_id)
    if present.published is None:
        return go(place.address("templates"), done=f"The draft of {identifier} is discarded.")
    return go(place.address(f"templates/{identifier}"), done="The draft is discarded; a copy of it is kept.")


@get("/templates/{identifier:str}/delete", guards=[access.editors], sync_to_thread=True)
def ask_to_delete(place: NamedDependency[Place], identifier: FromPath[str]) -> Response[Any]:
    """Say where the template is used, and ask whether to delete it."""
    return _deletion(place, identifier, Faults())


@post("/templates/{identifier:str}/delete", guards=[access.editors], sync_to_thread=True)
def delete(
    place: NamedDependency[Place],
    identifier: FromPath[str],
    data: Annotated[DeleteForm, Body(media_type=UrlEncoded)],
) -> Response[Any]:
    """Delete a template that nothing waits for, when its identifier was written out."""
    faults = Faults()
    if data.identifier.strip() != identifier:
        faults.add("identifier", f"Write {identifier} to show that you mean this template.")
        return _deletion(place, identifier, faults)
    try:
        with session.current().write() as transaction:
            template_usage.check_unused(transaction, place.service_id, identifier)
            drafts.discard(transaction, Key(place.service_id, identifier), place.viewer.email)
            templates.delete(transaction, place.service_id, identifier)
            audit.record(transaction, place.actor, "template.deleted", identifier, service_id=place.service_id)
    except Problem as problem:
        if problem.code != "in_use":
            raise
        faults.add("identifier", problem.detail)
        return _deletion(place, identifier, faults)
    return go(place.address("templates"), done=f"The template {identifier} is deleted.")


def _deletion(place: Place, identifier: str, faults: Faults) -> Response[Any]:
    with session.current().read() as reading:
        record = templates.get(reading, place.service_id, identifier)
        waiting = template_usage.waiting(reading, place.service_id, identifier)
        used_at = template_usage.last_used(reading, place.service_id).get(identifier)
    return page(
        "templates/delete.html",
        place.viewer,
        current="templates",
        place=place,
        status_code=faults.status,
        record=record,
        waiting=waiting,
        used_at=used_at,
        faults=faults,
    )


ROUTES = [look, publish, discard, ask_to_delete, delete]
