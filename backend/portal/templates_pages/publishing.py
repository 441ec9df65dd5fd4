"""Publishing a draft after a look at what it would break; throwing it away; deleting a template."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.corrections import of_template, send
from backend.corrections.of_template import Retrials
from backend.db import database as db
from backend.lib import languages
from backend.lib.problems import FieldError, Problem
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import go, page
from backend.portal.templates_pages import changing, previewing
from backend.publishing import chosen_senders
from backend.publishing import publish as publishing
from backend.publishing.publish import Change, Plan
from backend.registry import comparison, drafts, provenance, samples, template_usage, templates
from backend.registry.drafts import DraftConflict, Key, Working
from backend.registry.templates import TemplateContent, TemplateRecord
from backend.rendering.model import TemplateWarning
from backend.reports import template_preview
from backend.reports.template_preview import Preview, PreviewFault, Trials


class PublishForm(msgspec.Struct, kw_only=True):
    """What the publish page sends: the draft's revision that was looked at, and whether to publish what breaks.

    ``again`` asks to send what the template could not make once it is published.
    """

    revision: int = 0
    anyway: str = ""
    again: str = ""


class DeleteForm(msgspec.Struct, kw_only=True):
    """What the delete page sends: the identifier, written out."""

    identifier: str = ""


class TextLook(msgspec.Struct, frozen=True):
    """One variant as it is published: how it looks with its sample, and how many lines differ.

    ``is_new`` tells that the published version has none in this language, ``is_gone`` that the draft has none any more.
    """

    tag: str
    name: str
    preview: Preview | None
    added: int
    removed: int
    is_new: bool
    is_gone: bool
    other_fields: list[TemplateWarning]

    @property
    def warnings(self) -> list[TemplateWarning]:
        """Return what its author should look at."""
        return [*(self.preview.warnings if self.preview else ()), *self.other_fields]


class Reviewed(msgspec.Struct, frozen=True):
    """What is known of a draft before it is published."""

    present: Working
    published: TemplateContent | None
    preview: Preview
    trials: Trials
    plan: Plan
    changes: list[Change]
    locked: list[str]
    sender_faults: list[FieldError]
    retrials: Retrials
    texts: list[TextLook]

    @property
    def breaks(self) -> list[Change]:
        """Return what is made with this partial or layout and would not render any more."""
        return [one for one in self.changes if one.breaks]


def _reviewed(workspace: Workspace, identifier: str) -> Reviewed:
    with db.current().read() as reading:
        present = drafts.working(reading, Key(workspace.service_id, identifier))
        published = None
        if present.published is not None:
            published = templates.get(reading, workspace.service_id, identifier).content
        fields = samples.all_fields(reading, present.template_id)
        payloads = template_usage.last_payloads(reading, workspace.service_id, identifier)
        content = drafts.content_to_publish(reading, Key(workspace.service_id, identifier))
        plan = publishing.plan(reading, workspace.service_id, identifier, content)
        users = [one.record.identifier for one in plan.users]
        sender_faults = chosen_senders.faults(reading, workspace.service_id, content)
        locked = sorted(provenance.locks(reading, workspace.service_id, users))
    own = msgspec.structs.replace(present.content, variants={})
    preview = template_preview.before_publishing(own, fields, workspace.share)
    trials = template_preview.try_payloads(present.content, published, payloads, workspace.share)
    changes = publishing.changes(plan.users, workspace.share)
    retrials = of_template.try_failures(workspace.service_id, identifier, content, workspace.share)
    texts = _texts(workspace, content, published)
    return Reviewed(present, published, preview, trials, plan, changes, locked, sender_faults, retrials, texts)


def _texts(workspace: Workspace, content: TemplateContent, published: TemplateContent | None) -> list[TextLook]:
    """Look at every variant that the draft or the published version has."""
    now, then = content.spoken(), published.spoken() if published else {}
    found = []
    told = template_preview.other_fields(content, workspace.service_id)
    for tag in sorted(now.keys() | then.keys()):
        text, before = now.get(tag), then.get(tag)
        rows = comparison.compare(before.source if before else "", text.source if text else "")
        preview = None
        if text is not None:
            sample = text.sample_fields
            fields = [] if sample is None else [sample]
            preview = template_preview.before_publishing(text, fields, workspace.share)
        added, removed = _counted(rows)
        found.append(
            TextLook(tag, languages.name(tag), preview, added, removed, before is None, text is None, told.get(tag, []))
        )
    return found


def _counted(rows: list[comparison.Row]) -> tuple[int, int]:
    """Count the lines that are new or changed, and those that are gone or changed."""
    return tuple(sum(row.kind in {kind, "changed"} for row in rows) for kind in ("added", "removed"))  # type: ignore[return-value]


@get("/templates/{identifier:str}/publish", guards=[access.editors], sync_to_thread=True)
def look(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Response[Any]:
    """Show what publishing the draft would do."""
    return _page(workspace, _reviewed(workspace, identifier))


@post("/templates/{identifier:str}/publish", guards=[access.editors, access.unlocked], sync_to_thread=True)
def publish(workspace: NamedDependency[Workspace], identifier: FromPath[str], data: Sent[PublishForm]) -> Response[Any]:
    """Publish the draft; what would break the last real messages is published only when that was said."""
    found = _reviewed(workspace, identifier)
    if not found.present.content.source.strip() or _refusal(workspace, found) is not None:
        return _page(workspace, found, status_code=422)
    if found.breaks or (found.trials.broken and not data.anyway):
        return _page(workspace, found, status_code=422)
    try:
        with db.current().transaction() as transaction:
            key = Key(workspace.service_id, identifier)
            record, anew = _published(transaction, key, found.plan, data.revision, workspace.viewer.email)
            detail = {"version": record.version, "would_break": len(found.trials.broken), "published_anew": len(anew)}
            audit.record(
                transaction,
                workspace.actor,
                "template.published",
                identifier,
                service_id=workspace.service_id,
                detail=detail,
            )
    except DraftConflict:
        return _page(workspace, _reviewed(workspace, identifier), status_code=409, changed=True)
    done = f"Version {record.version} is published: messages are made from it from now on."
    if anew:
        done = f"Version {record.version} is published, and with it {', '.join(one.identifier for one in anew)}."
    return (
        _sent_again(workspace, record, found.retrials, done)
        if data.again
        else go(_home(workspace, identifier), done=done)
    )


def _home(workspace: Workspace, identifier: str) -> str:
    return workspace.address(f"templates/{identifier}")


def _sent_again(workspace: Workspace, record: TemplateRecord, retrials: Retrials, done: str) -> Response[Any]:
    """Send what would go by the look that was had before publishing; each goes once, whoever else sends it again."""
    reason = f"What {record.identifier} could not make before its version {record.version}."
    uid = send.send_failures(workspace.service_id, retrials.failures, workspace.actor, reason=reason)
    if uid is None:
        return go(_home(workspace, record.identifier), done=f"{done} Nothing was left to be sent again.")
    return go(workspace.address(f"sent-again/{uid}"), done=f"{done} What has become of the messages stands here.")


def _published(
    transaction: Session, key: Key, plan: Plan, revision: int, author: str
) -> tuple[TemplateRecord, list[TemplateRecord]]:
    def store() -> tuple[TemplateRecord, bool]:
        return drafts.publish(transaction, key, revision, author, plan.pins), False

    record, _, anew = publishing.put(transaction, key.service_id, plan, author, store)
    return record, anew


def _refusal(workspace: Workspace, found: Reviewed) -> PreviewFault | None:
    refusal = template_preview.refusal(found.present.content, workspace.share)
    if refusal is None and found.breaks:
        names = ", ".join(one.identifier for one in found.breaks)
        refusal = PreviewFault(f"It would break what is made with it: {names}. See below.", None, in_subject=False)
    if refusal is None and found.sender_faults:
        refusal = PreviewFault(found.sender_faults[0].detail, None, in_subject=False)
    if refusal is None and found.locked:
        names = ", ".join(found.locked)
        sentence = f"It would change what is made with it and is locked for its repository: {names}."
        refusal = PreviewFault(sentence, None, in_subject=False)
    return refusal


def _page(workspace: Workspace, found: Reviewed, *, status_code: int = 200, changed: bool = False) -> Response[Any]:
    rows = comparison.compare(found.published.source, found.present.content.source) if found.published else []
    added, removed = _counted(rows)
    refusal = _refusal(workspace, found)
    if not found.present.content.source.strip():
        refusal = previewing.EMPTY
    return page(
        "templates/publish.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        status_code=status_code,
        look=found,
        frames=changing.frames(workspace, found.changes),
        refusal=refusal,
        changed=changed,
        added=added,
        removed=removed,
    )


@post("/templates/{identifier:str}/discard", guards=[access.editors], sync_to_thread=True)
def discard(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Response[Any]:
    """Throw the draft away; its text is kept as a copy."""
    with db.current().transaction() as transaction:
        key = Key(workspace.service_id, identifier)
        present = drafts.working(transaction, key)
        drafts.discard(transaction, key, workspace.viewer.email)
        audit.record(
            transaction, workspace.actor, "template.draft_discarded", identifier, service_id=workspace.service_id
        )
    if present.published is None:
        return go(workspace.address("templates"), done=f"The draft of {identifier} is discarded.")
    return go(workspace.address(f"templates/{identifier}"), done="The draft is discarded; a copy of it is kept.")


@get("/templates/{identifier:str}/delete", guards=[access.editors], sync_to_thread=True)
def ask_to_delete(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Response[Any]:
    """Say where the template is used, and ask whether to delete it."""
    return _deletion(workspace, identifier, Faults())


@post("/templates/{identifier:str}/delete", guards=[access.editors, access.unlocked], sync_to_thread=True)
def delete(workspace: NamedDependency[Workspace], identifier: FromPath[str], data: Sent[DeleteForm]) -> Response[Any]:
    """Delete a template that nothing waits for, when its identifier was written out."""
    faults = Faults()
    if data.identifier.strip() != identifier:
        faults.add("identifier", f"Write {identifier} to show that you mean this template.")
        return _deletion(workspace, identifier, faults)
    try:
        with db.current().transaction() as transaction:
            template_usage.check_unused(transaction, workspace.service_id, identifier)
            publishing.check_unused(transaction, workspace.service_id, identifier)
            drafts.discard(transaction, Key(workspace.service_id, identifier), workspace.viewer.email)
            templates.delete(transaction, workspace.service_id, identifier)
            audit.record(transaction, workspace.actor, "template.deleted", identifier, service_id=workspace.service_id)
    except Problem as problem:
        if problem.code != "in_use":
            raise
        faults.add("identifier", problem.detail)
        return _deletion(workspace, identifier, faults)
    return go(workspace.address("templates"), done=f"The template {identifier} is deleted.")


def _deletion(workspace: Workspace, identifier: str, faults: Faults) -> Response[Any]:
    with db.current().read() as reading:
        record = templates.get(reading, workspace.service_id, identifier)
        waiting = template_usage.waiting(reading, workspace.service_id, identifier)
        used_at = template_usage.last_used(reading, workspace.service_id).get(identifier)
        users = templates.made_with(reading, workspace.service_id, identifier)
    return page(
        "templates/delete.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        status_code=faults.status,
        record=record,
        waiting=waiting,
        used_at=used_at,
        users=users,
        faults=faults,
    )


ROUTES = [look, publish, discard, ask_to_delete, delete]
