"""The editor: source beside preview. Its one form saves, previews, sends and publishes, with JavaScript and without."""

from collections.abc import Callable
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.db import database as db
from backend.intake import trial
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import go, page
from backend.portal.sending_rules import whether_it_leaves
from backend.portal.templates_pages import as_code, formatting, previewing, sender_fields, speaking, texts
from backend.portal.templates_pages.texts import EditorForm
from backend.publishing import sources
from backend.publishing.sources import MailSettings
from backend.registry import comparison, drafts, samples, sending_rules
from backend.registry.drafts import DraftConflict, Key, Working
from backend.registry.samples import Sample, SampleFault
from backend.registry.sending import Subject
from backend.registry.templates import TemplateContent

Form = Sent[EditorForm]


class Desk(msgspec.Struct, frozen=True):
    """What is edited, where and by whom: the stored text, its samples, and what the form makes of them."""

    workspace: Workspace
    present: Working
    samples: list[Sample]
    form: EditorForm
    faults: Faults
    by_script: bool = False

    @property
    def key(self) -> Key:
        """Return which template is edited."""
        return Key(self.workspace.service_id, self.present.identifier)

    def address(self, rest: str = "", **query: str | int | None) -> str:
        """Return the address of one of the template's pages."""
        return self.workspace.address(f"templates/{self.present.identifier}{rest}", **query)

    def text(self) -> TemplateContent | None:
        """Read what the form says; None where it cannot be kept, for the faults that are then said."""
        return texts.content(self.form, self.faults, self.present.content)


def _stored(workspace: Workspace, identifier: str, variant: str) -> tuple[Working, list[Sample]]:
    with db.current().read() as reading:
        present = drafts.working(reading, Key(workspace.service_id, identifier))
        return present, _samples(reading, present, variant)


def _samples(reading: Session, present: Working, variant: str) -> list[Sample]:
    """Return the samples of a text: a variant that has none is tried with those of the template's own."""
    return samples.of(reading, present.template_id, variant) or samples.of(reading, present.template_id)


def _said(workspace: Workspace) -> MailSettings:
    with db.current().read() as reading:
        return sources.mail_settings(reading, workspace.service_id)


def _desk(workspace: Workspace, identifier: str, form: EditorForm) -> Desk:
    present, found = _stored(workspace, identifier, form.variant)
    return Desk(workspace, present, found, form, Faults())


@get("/templates/{identifier:str}", sync_to_thread=True)
def show(
    workspace: NamedDependency[Workspace],
    identifier: FromPath[str],
    copy: FromQuery[int | None] = None,
    variant: FromQuery[str] = "",
) -> Response[Any]:
    """Show the editor with the draft or the published text; ``copy`` puts a kept copy into it, unsaved.

    ``variant`` is the language of the text that is shown, if it is not the template's own.

    Viewers are led to the published version, and so is everybody where the template's repository has locked it.
    """
    present, found = _stored(workspace, identifier, variant)
    if not workspace.may_edit or (as_code.of(workspace, identifier).lock and present.published is not None):
        if present.published is None:
            raise NotFoundException
        return go(workspace.address(f"templates/{identifier}/versions/{present.published}"))
    text = present.content
    if copy is not None:
        with db.current().read() as reading:
            kept = drafts.copies(reading, Key(workspace.service_id, identifier))
        text = next((one.content for one in kept if one.id == copy), text)
    form = texts.form_of(text, present.revision, found, variant)
    return _editor(Desk(workspace, present, found, form, Faults()), text)


@post("/templates/{identifier:str}", guards=[access.editors, access.unlocked], sync_to_thread=True)
def change(
    request: Request[Any, Any, Any], workspace: NamedDependency[Workspace], identifier: FromPath[str], data: Form
) -> Response[Any]:
    """Do what the pressed button says; a script's own save is answered with a part of the page."""
    by_script = request.headers.get("hx-request") == "true"
    desk = msgspec.structs.replace(_desk(workspace, identifier, data), by_script=by_script)
    act = _ACTIONS.get(data.action)
    if act is not None:
        return act(desk)
    text = desk.text()
    if text is not None:
        text = speaking.changed(data, text, _said(workspace), desk.faults)
    if text is None or desk.faults:
        return _saved(desk, desk.present) if by_script else _editor(desk, text)
    return _keep(desk, text)


@post("/templates/{identifier:str}/preview", guards=[access.editors], sync_to_thread=True, status_code=200)
def preview(workspace: NamedDependency[Workspace], identifier: FromPath[str], data: Form) -> Template:
    """Answer the editor's script with what it shows beside the text; nothing is saved."""
    desk = _desk(workspace, identifier, data)
    text = desk.text()
    found = previewing.shown(workspace, desk.present, data, text)
    return page("templates/_result.html", workspace.viewer, desk=desk, **previewing.described(found))


def _keep(desk: Desk, text: TemplateContent) -> Response[Any]:
    """Save the text, and lead on; or show that somebody else has saved theirs."""
    try:
        saved = _save(desk, text)
    except DraftConflict as conflict:
        if desk.by_script:
            return page("templates/_conflict.html", desk.workspace.viewer, status_code=409, present=conflict.present)
        return _conflict(desk, conflict.present, text)
    if desk.by_script:
        return _saved(desk, saved)
    return _go_on(msgspec.structs.replace(desk, present=saved), text)


def _save(desk: Desk, text: TemplateContent) -> Working:
    """Save the draft; the audit log has an entry when it begins and when it changes hands."""
    workspace, before = desk.workspace, desk.present
    with db.current().transaction() as transaction:
        saved = drafts.save(transaction, desk.key, text, desk.form.read_from, workspace.viewer.email)
        if saved.revision != before.revision and (before.revision == 0 or before.updated_by != saved.updated_by):
            _record(transaction, desk, "template.draft_saved", {"revision": saved.revision})
    return saved


def _record(transaction: Any, desk: Desk, action: str, detail: dict[str, Any] | None = None) -> None:
    workspace = desk.workspace
    audit.record(
        transaction, workspace.actor, action, desk.present.identifier, service_id=workspace.service_id, detail=detail
    )


def _go_on(desk: Desk, text: TemplateContent) -> Response[Any]:
    """Lead on after a save without a script: to the button's purpose."""
    if desk.form.action == "publish":
        return go(desk.address("/publish"))
    if desk.form.action == "send":
        return _send(desk, text)
    variant = speaking.goes_to(desk.form)
    return go(desk.address(variant=variant or None), done="The draft is saved.")


def _send(desk: Desk, text: TemplateContent) -> Response[Any]:
    """Send the text, rendered with the sample data, to the person who edits it."""
    sample = texts.sample_state(desk.form.sample, batch=desk.form.batch)
    if sample.fault is not None:
        desk.faults.add("sample", sample.fault)
        return _editor(desk, text)
    test = trial.DraftMessage(
        service_id=desk.workspace.service_id,
        template_id=desk.present.template_id,
        identifier=desk.present.identifier,
        content=texts.spoken(text, desk.form.variant),
        fields=sample.fields,
        address=desk.workspace.viewer.email,
    )
    try:
        with db.current().transaction() as transaction:
            trial.store(transaction, test)
            _record(transaction, desk, "template.test_sent", {"to": desk.workspace.viewer.email})
    except Problem as problem:
        desk.faults.add("source", f"Nothing was sent. {problem.detail}")
        return _editor(desk, text)
    done = f"A test is on its way to {desk.workspace.viewer.email}."
    return go(desk.address(variant=desk.form.variant or None), done=done)


def _only_preview(desk: Desk) -> Response[Any]:
    return _editor(desk, desk.text())


def _format(desk: Desk) -> Response[Any]:
    """Put the source into order; nothing is saved."""
    made = formatting.of(desk.form.format, desk.form.source)
    form = msgspec.structs.replace(desk.form, source=made.source)
    if desk.by_script:
        return page("templates/_formatted.html", desk.workspace.viewer, made=made)
    if not made.done:
        desk.faults.add("source", made.said)
    return _only_preview(msgspec.structs.replace(desk, form=form))


def _load_sample(desk: Desk) -> Response[Any]:
    chosen = next((one for one in desk.samples if one.name == desk.form.sample_name), None)
    if chosen is None:
        return _only_preview(desk)
    form = msgspec.structs.replace(desk.form, sample=chosen.text, mode=texts.mode_of(chosen.text))
    return _only_preview(msgspec.structs.replace(desk, form=form))


def _save_sample(desk: Desk) -> Response[Any]:
    """Store the sample data under the new name, or under that of the chosen sample."""
    name = desk.form.new_sample_name.strip() or desk.form.sample_name or samples.FIRST
    try:
        with db.current().transaction() as transaction:
            text, variant = texts.unified(desk.form.sample), desk.form.variant
            samples.put(transaction, desk.present.template_id, name, text, variant)
            _record(transaction, desk, "template.sample_saved", {"sample": name})
    except SampleFault as fault:
        desk.faults.add("sample", fault.detail)
    except Problem as problem:
        desk.faults.add("new_sample_name", problem.detail)
    else:
        desk = _with_samples(desk, sample_name=" ".join(name.split()), new_sample_name="")
    return _only_preview(desk)


def _delete_sample(desk: Desk) -> Response[Any]:
    with db.current().transaction() as transaction:
        samples.delete(transaction, desk.present.template_id, desk.form.sample_name, desk.form.variant)
        _record(transaction, desk, "template.sample_deleted", {"sample": desk.form.sample_name})
    return _only_preview(_with_samples(desk, sample_name=""))


def _with_samples(desk: Desk, **changes: str) -> Desk:
    with db.current().read() as reading:
        found = _samples(reading, desk.present, desk.form.variant)
    return msgspec.structs.replace(desk, samples=found, form=msgspec.structs.replace(desk.form, **changes))


def _save_over(desk: Desk) -> Response[Any]:
    text = desk.text()
    if text is None:
        return _editor(desk, None)
    with db.current().transaction() as transaction:
        saved = drafts.save_over(transaction, desk.key, text, desk.workspace.viewer.email)
        _record(
            transaction, desk, "template.draft_saved", {"revision": saved.revision, "over": desk.present.updated_by}
        )
    return go(desk.address(), done="Your text is the draft now; the other one is kept as a copy.")


def _take_theirs(desk: Desk) -> Response[Any]:
    text = desk.text()
    if text is not None:
        with db.current().transaction() as transaction:
            drafts.set_aside(transaction, desk.key, text, desk.workspace.viewer.email)
    return go(desk.address(), done="This is their text; yours is kept as a copy.")


_ACTIONS: dict[str, Callable[[Desk], Response[Any]]] = {
    "preview": _only_preview,
    "format": _format,
    "load_sample": _load_sample,
    "save_sample": _save_sample,
    "delete_sample": _delete_sample,
    "save_over": _save_over,
    "take_theirs": _take_theirs,
}


_SETTINGS = {"name", "format", "repeat_after", "sender", "reply_to", *texts.BATCH_FIELDS}


def _editor(desk: Desk, text: TemplateContent | None) -> Template:
    found = previewing.shown(desk.workspace, desk.present, desk.form, text)
    with db.current().read() as reading:
        kept = drafts.copies(reading, desk.key)
        senders = sender_fields.choices(reading, desk.workspace.service_id, desk.form)
        rule = sending_rules.present(reading, desk.workspace.service_id, Subject("template", desk.present.identifier))
    return page(
        "templates/editor.html",
        desk.workspace.viewer,
        current="templates",
        workspace=desk.workspace,
        status_code=desk.faults.status,
        desk=desk,
        identifier=desk.present.identifier,
        as_code=as_code.of(desk.workspace, desk.present.identifier),
        copies=kept,
        formats=texts.FORMATS,
        kinds=texts.KINDS,
        senders=senders,
        settings_open=bool(desk.faults.keys() & _SETTINGS),
        **speaking.described(desk.workspace, desk.form, text or desk.present.content, _said(desk.workspace)),
        **whether_it_leaves(rule),
        **previewing.described(found),
    )


def _saved(desk: Desk, present: Working) -> Template:
    return page("templates/_saved.html", desk.workspace.viewer, desk=desk, present=present)


def _conflict(desk: Desk, present: Working, text: TemplateContent) -> Template:
    return page(
        "templates/conflict.html",
        desk.workspace.viewer,
        current="templates",
        workspace=desk.workspace,
        status_code=409,
        desk=desk,
        present=present,
        rows=comparison.compare(*(texts.spoken(one, desk.form.variant).source for one in (present.content, text))),
    )


ROUTES = [show, change, preview]
