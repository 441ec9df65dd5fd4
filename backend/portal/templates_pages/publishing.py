"""Publishing a draft after a look at what it would break; throwing it away; deleting a template."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.db import session
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Place
from backend.portal.forms import Faults
from backend.portal.pages import go, page
from backend.portal.templates_pages import changing, previewing
from backend.publishing import publish as publishing
from backend.publishing.publish import Change, Plan
from backend.registry import comparison, drafts, samples, template_usage, templates
from backend.registry.drafts import DraftConflict, Key, Working
from backend.registry.templates import TemplateContent, TemplateRecord
from backend.reports import template_preview, template_trial
from backend.reports.template_preview import Preview, PreviewFault
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
    plan: Plan
    changes: list[Change]

    @property
    def breaks(self) -> list[Change]:
        """Return what is made with this partial or layout and would not render any more."""
        return [one for one in self.changes if one.breaks]


UrlEncoded = RequestEncodingType.URL_ENCODED


def _look(place: Place, identifier: str) -> Look:
    with session.current().read() as reading:
        present = drafts.working(reading, Key(place.service_id, identifier))
        published = None
        if present.published is not None:
            published = templates.get(reading, place.service_id, identifier).content
        fields = samples.all_fields(reading, present.template_id)
        payloads = template_usage.last_payloads(reading, place.service_id, identifier)
        content = drafts.content_to_publish(reading, Key(place.service_id, identifier))
        plan = publishing.plan(reading, place.service_id, identifier, content)
    preview = template_preview.before_publishing(present.content, fields, place.share)
    trials = template_trial.try_payloads(present.content, published, payloads, place.share)
    return Look(present, published, preview, trials, plan, publishing.changes(plan.users, place.share))


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
    if not found.present.content.source.strip() or _refusal(place, found) is not None:
        return _page(place, found, status_code=422)
    if found.breaks or (found.trials.broken and not data.anyway):
        return _page(place, found, status_code=422)
    try:
        with session.current().write() as transaction:
            key = Key(place.service_id, identifier)
            record, anew = _published(transaction, key, found.plan, data.revision, place.viewer.email)
            detail = {"version": record.version, "would_break": len(found.trials.broken), "published_anew": len(anew)}
            audit.record(
                transaction, place.actor, "template.published", identifier, service_id=place.service_id, detail=detail
            )
    except DraftConflict:
        return _page(place, _look(place, identifier), status_code=409, changed=True)
    address = place.address(f"templates/{identifier}")
    done = f"Version {record.version} is published: messages are made from it from now on."
    if anew:
        done = f"Version {record.version} is published, and with it {', '.join(one.identifier for one in anew)}."
    return go(address, done=done)


def _published(
    transaction: Session, key: Key, plan: Plan, revision: int, author: str
) -> tuple[TemplateRecord, list[TemplateRecord]]:
    def store() -> tuple[TemplateRecord, bool]:
        return drafts.publish(transaction, key, revision, author, plan.pins), False

    record, _, anew = publishing.put(transaction, key.service_id, plan, author, store)
    return record, anew


def _refusal(place: Place, found: Look) -> PreviewFault | None:
    refusal = template_preview.refusal(found.present.content, place.share)
    if refusal is None and found.breaks:
        names = ", ".join(one.identifier for one in found.breaks)
        refusal = PreviewFault(f"It would break what is made with it: {names}. See below.", None, in_subject=False)
    return refusal


def _page(place: Place, found: Look, *, status_code: int = 200, changed: bool = False) -> Response[Any]:
    rows = comparison.compare(found.published.source, found.present.content.source) if found.published else []
    refusal = _refusal(place, found)
    if not found.present.content.source.strip():
        refusal = previewing.EMPTY
    return page(
        "templates/publish.html",
        place.viewer,
        current="templates",
        place=place,
        status_code=status_code,
        look=found,
        frames=changing.frames(place, found.changes),
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
            publishing.check_unused(transaction, place.service_id, identifier)
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
        users = templates.made_with(reading, place.service_id, identifier)
    return page(
        "templates/delete.html",
        place.viewer,
        current="templates",
        place=place,
        status_code=faults.status,
        record=record,
        waiting=waiting,
        used_at=used_at,
        users=users,
        faults=faults,
    )


ROUTES = [look, publish, discard, ask_to_delete, delete]
