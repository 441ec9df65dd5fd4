"""The editor: source beside preview. Its one form saves, previews, sends and publishes, with JavaScript and without."""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.params import Body, FromPath, FromQuery
from litestar.response import Template

from backend.accounts import audit
from backend.db import session
from backend.intake import trial
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Place
from backend.portal.forms import Faults
from backend.portal.pages import go, page
from backend.portal.security import MESSAGE_POLICY
from backend.portal.templates_pages import previewing, texts
from backend.portal.templates_pages.texts import EditorForm
from backend.registry import comparison, drafts, previews, samples
from backend.registry.drafts import DraftConflict, Key, Working
from backend.registry.samples import Sample, SampleFault
from backend.registry.templates import TemplateContent

Form = Annotated[EditorForm, Body(media_type=RequestEncodingType.URL_ENCODED)]


class Desk(msgspec.Struct, frozen=True):
    """What is edited, where and by whom: the stored text, its samples, and what the form makes of them."""

    place: Place
    present: Working
    samples: list[Sample]
    form: EditorForm
    faults: Faults

    @property
    def key(self) -> Key:
        """Return which template is edited."""
        return Key(self.place.service_id, self.present.identifier)

    def address(self, rest: str = "", **query: str | int | None) -> str:
        """Return the address of one of the template's pages."""
        return self.place.address(f"templates/{self.present.identifier}{rest}", **query)


def _stored(place: Place, identifier: str) -> tuple[Working, list[Sample]]:
    with session.current().read() as reading:
        present = drafts.working(reading, Key(place.service_id, identifier))
        return present, samples.of(reading, present.template_id)


def _desk(place: Place, identifier: str, form: EditorForm) -> Desk:
    present, found = _stored(place, identifier)
    return Desk(place, present, found, form, Faults())


@get("/templates/{identifier:str}", sync_to_thread=True)
def show(place: NamedDependency[Place], identifier: FromPath[str], copy: FromQuery[int | None] = None) -> Response[Any]:
    """Show the editor with the draft or the published text; ``copy`` puts a kept copy into it, unsaved.

    Viewers are led to the published version.
    """
    present, found = _stored(place, identifier)
    if not place.may_edit:
        if present.published is None:
            raise NotFoundException
        return go(place.address(f"templates/{identifier}/versions/{present.published}"))
    text = present.content
    if copy is not None:
        with session.current().read() as reading:
            kept = drafts.copies(reading, Key(place.service_id, identifier))
        text = next((one.content for one in kept if one.id == copy), text)
    form = texts.form_of(text, present.revision, found)
    return _editor(Desk(place, present, found, form, Faults()), text)


@post("/templates/{identifier:str}", guards=[access.editors], sync_to_thread=True)
def change(
    request: Request[Any, Any, Any], place: NamedDependency[Place], identifier: FromPath[str], data: Form
) -> Response[Any]:
    """Do what the pressed button says; a script's own save is answered with a part of the page."""
    desk = _desk(place, identifier, data)
    act = _ACTIONS.get(data.action)
    if act is not None:
        return act(desk)
    text = texts.content(data, desk.faults)
    by_script = request.headers.get("hx-request") == "true"
    if text is None:
        return _saved(desk, desk.present) if by_script else _editor(desk, None)
    try:
        saved = _save(desk, text)
    except DraftConflict as conflict:
        if by_script:
            return page("templates/_conflict.html", place.viewer, status_code=409, present=conflict.present)
        return _conflict(desk, conflict.present, text)
    if by_script:
        return _saved(desk, saved)
    return _go_on(msgspec.structs.replace(desk, present=saved), text)


@post("/templates/{identifier:str}/preview", guards=[access.editors], sync_to_thread=True, status_code=200)
def preview(place: NamedDependency[Place], identifier: FromPath[str], data: Form) -> Template:
    """Answer the editor's script with what it shows beside the text; nothing is saved."""
    desk = _desk(place, identifier, data)
    text = texts.content(data, desk.faults)
    found = previewing.shown(place, desk.present, data, text)
    return page("templates/_result.html", place.viewer, desk=desk, **previewing.described(found))


@get("/templates/{identifier:str}/preview/{digest:str}", guards=[access.editors], sync_to_thread=True)
def frame(place: NamedDependency[Place], identifier: FromPath[str], digest: FromPath[str]) -> Response[str]:
    """Serve the HTML of an unsaved text to its editor alone, for the sandboxed frame."""
    present, _ = _stored(place, identifier)
    with session.current().read() as reading:
        html = previews.kept(reading, place.viewer.user_id, present.template_id, digest)
    if html is None:
        raise NotFoundException
    return Response(html, media_type="text/html", headers={"Content-Security-Policy": MESSAGE_POLICY})


def _save(desk: Desk, text: TemplateContent) -> Working:
    """Save the draft; the audit log has an entry when it begins and when it changes hands."""
    place, before = desk.place, desk.present
    with session.current().write() as transaction:
        saved = drafts.save(transaction, desk.key, text, desk.form.read_from, place.viewer.email)
        if saved.revision != before.revision and (before.revision == 0 or before.updated_by != saved.updated_by):
            _record(transaction, desk, "template.draft_saved", {"revision": saved.revision})
    return saved


def _record(transaction: Any, desk: Desk, action: str, detail: dict[str, Any] | None = None) -> None:
    place = desk.place
    audit.record(transaction, place.actor, action, desk.present.identifier, service_id=place.service_id, detail=detail)


def _go_on(desk: Desk, text: TemplateContent) -> Response[Any]:
    """Lead on after a save without a script: to the button's purpose."""
    if desk.form.action == "publish":
        return go(desk.address("/publish"))
    if desk.form.action == "send":
        return _send(desk, text)
    return go(desk.address(), done="The draft is saved.")


def _send(desk: Desk, text: TemplateContent) -> Response[Any]:
    """Send the text, rendered with the sample data, to the person who edits it."""
    sample = texts.sample_state(desk.form.sample, batch=desk.form.batch)
    if sample.fault is not None:
        desk.faults.add("sample", sample.fault)
        return _editor(desk, text)
    test = trial.DraftMessage(
        service_id=desk.place.service_id,
        template_id=desk.present.template_id,
        identifier=desk.present.identifier,
        content=text,
        fields=sample.fields,
        address=desk.place.viewer.email,
    )
    try:
        with session.current().write() as transaction:
            trial.store(transaction, test)
            _record(transaction, desk, "template.test_sent", {"to": desk.place.viewer.email})
    except Problem as problem:
        desk.faults.add("source", f"Nothing was sent. {problem.detail}")
        return _editor(desk, text)
    trial.nudge()
    return go(desk.address(), done=f"A test is on its way to {desk.place.viewer.email}.")


def _only_preview(desk: Desk) -> Response[Any]:
    return _editor(desk, texts.content(desk.form, desk.faults))


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
        with session.current().write() as transaction:
            samples.put(transaction, desk.present.template_id, name, texts.unified(desk.form.sample))
            _record(transaction, desk, "template.sample_saved", {"sample": name})
    except SampleFault as fault:
        desk.faults.add("sample", fault.detail)
    except Problem as problem:
        desk.faults.add("new_sample_name", problem.detail)
    else:
        desk = _with_samples(desk, sample_name=" ".join(name.split()), new_sample_name="")
    return _only_preview(desk)


def _delete_sample(desk: Desk) -> Response[Any]:
    with session.current().write() as transaction:
        samples.delete(transaction, desk.present.template_id, desk.form.sample_name)
        _record(transaction, desk, "template.sample_deleted", {"sample": desk.form.sample_name})
    return _only_preview(_with_samples(desk, sample_name=""))


def _with_samples(desk: Desk, **changes: str) -> Desk:
    with session.current().read() as reading:
        found = samples.of(reading, desk.present.template_id)
    return msgspec.structs.replace(desk, samples=found, form=msgspec.structs.replace(desk.form, **changes))


def _save_over(desk: Desk) -> Response[Any]:
    text = texts.content(desk.form, desk.faults)
    if text is None:
        return _editor(desk, None)
    with session.current().write() as transaction:
        saved = drafts.save_over(transaction, desk.key, text, desk.place.viewer.email)
        _record(
            transaction, desk, "template.draft_saved", {"revision": saved.revision, "over": desk.present.updated_by}
        )
    return go(desk.address(), done="Your text is the draft now; the other one is kept as a copy.")


def _take_theirs(desk: Desk) -> Response[Any]:
    text = texts.content(desk.form, desk.faults)
    if text is not None:
        with session.current().write() as transaction:
            drafts.set_aside(transaction, desk.key, text, desk.place.viewer.email)
    return go(desk.address(), done="This is their text; yours is kept as a copy.")


_ACTIONS: dict[str, Callable[[Desk], Response[Any]]] = {
    "preview": _only_preview,
    "load_sample": _load_sample,
    "save_sample": _save_sample,
    "delete_sample": _delete_sample,
    "save_over": _save_over,
    "take_theirs": _take_theirs,
}


def _editor(desk: Desk, text: TemplateContent | None) -> Template:
    found = previewing.shown(desk.place, desk.present, desk.form, text)
    with session.current().read() as reading:
        kept = drafts.copies(reading, desk.key)
    return page(
        "templates/editor.html",
        desk.place.viewer,
        current="templates",
        place=desk.place,
        status_code=desk.faults.status,
        desk=desk,
        copies=kept,
        formats=texts.FORMATS,
        kinds=texts.KINDS,
        settings_open=bool(desk.faults.keys() & {"name", "format", "repeat_after", *texts.BATCH_FIELDS}),
        **previewing.described(found),
    )


def _saved(desk: Desk, present: Working) -> Template:
    return page("templates/_saved.html", desk.place.viewer, desk=desk, present=present)


def _conflict(desk: Desk, present: Working, text: TemplateContent) -> Template:
    return page(
        "templates/conflict.html",
        desk.place.viewer,
        current="templates",
        place=desk.place,
        status_code=409,
        desk=desk,
        present=present,
        rows=comparison.compare(present.content.source, text.source),
    )


ROUTES = [show, change, preview, frame]
