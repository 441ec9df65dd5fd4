"""The list of a service's templates, and beginning a new one: empty, from a starter, or from a file."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.di import NamedDependency
from litestar.params import FromQuery

from backend.accounts import audit
from backend.db import database as db
from backend.lib import strict_json
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Uploaded
from backend.portal.pages import go, page
from backend.portal.templates_pages.texts import FORMATS, KINDS
from backend.registry import drafts, samples, template_files, template_lists
from backend.registry.drafts import Key
from backend.registry.owned import check_identifier
from backend.registry.shapes import MAX_SOURCE_BYTES, TemplateShape
from backend.registry.templates import TemplateContent
from backend.rendering.starters import Starter, starters

_BLANK = {
    "mjml": "<mjml>\n  <mj-body>\n    <mj-section>\n      <mj-column>\n        <mj-text>Hello {{ name }}</mj-text>\n"
    "      </mj-column>\n    </mj-section>\n  </mj-body>\n</mjml>\n",
    "html": '{% extends "base.html" %}\n{% block body %}\n<p>Hello {{ name }}</p>\n{% endblock %}\n',
    "text": "Hello {{ name }}\n",
    "markdown": "# Hello {{ name }}\n",
}


class NewTemplate(msgspec.Struct, kw_only=True):
    """What the form of a new template sends; ``start`` is ``blank:FORMAT``, ``starter:IDENTIFIER`` or ``file``."""

    name: str = ""
    identifier: str = ""
    kind: str = "template"
    start: str = "blank:mjml"
    file: UploadFile | None = None


@get("/templates", sync_to_thread=True)
def index(workspace: NamedDependency[Workspace], q: FromQuery[str] = "", form: FromQuery[str] = "") -> Response[Any]:
    """List the templates whose name or identifier holds ``q``, of the format ``form``."""
    with db.current().read() as reading:
        rows = template_lists.every(reading, workspace.service_id)
    return page(
        "templates/index.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        rows=template_lists.fitting(rows, q, form),
        any_at_all=bool(rows),
        q=q[:200],
        form=form,
        formats=FORMATS,
        kinds=KINDS,
    )


@get("/templates/new", guards=[access.editors], sync_to_thread=True)
def new(workspace: NamedDependency[Workspace], start: FromQuery[str] = "blank:mjml") -> Response[Any]:
    """Show the form of a new template."""
    return _form(workspace, NewTemplate(start=start), Faults())


@post("/templates/new", guards=[access.editors], sync_to_thread=True)
def create(workspace: NamedDependency[Workspace], data: Uploaded[NewTemplate]) -> Response[Any]:
    """Begin a template with a first draft, and go to its editor."""
    faults = Faults()
    if data.kind not in dict(KINDS):
        faults.add("kind", "Choose what it is from the list.")
    begun = _begun(data, faults)
    data.identifier = data.identifier.strip() or template_files.identifier_from(data.name)
    with faults.on("identifier"):
        check_identifier(data.identifier)
    if faults or begun is None:
        return _form(workspace, data, faults)
    text, sample = msgspec.structs.replace(begun[0], kind=data.kind), begun[1]
    with faults.on("identifier"), db.current().transaction() as transaction:
        made = drafts.create(transaction, Key(workspace.service_id, data.identifier), text, workspace.viewer.email)
        if sample is not None:
            samples.put(transaction, made.template_id, samples.FIRST, sample)
        audit.record(transaction, workspace.actor, "template.begun", data.identifier, service_id=workspace.service_id)
    if faults:
        return _form(workspace, data, faults)
    return go(workspace.address(f"templates/{data.identifier}"))


def _begun(data: NewTemplate, faults: Faults) -> tuple[TemplateContent, str | None] | None:
    """Return the first text and its sample data, or say what is wrong."""
    kind, _, which = data.start.partition(":")
    uploaded = data.file is not None and bool(data.file.filename)
    if kind == "file" or uploaded:
        return _from_file(data, faults)
    if kind == "starter":
        starter = next((one for one in starters() if one.identifier == which), None)
        if starter is None:
            faults.add("start", "There is no such starter; choose one of the list.")
            return None
        data.name = data.name.strip() or starter.name
        return _from_starter(starter, data.name), samples.write(starter.sample_fields)
    text = TemplateContent(name=data.name.strip(), format=which, source=_BLANK.get(which, _BLANK["mjml"]))
    return _checked(text, faults), samples.write({"name": "Ada"})


def _from_starter(starter: Starter, name: str) -> TemplateContent:
    return TemplateContent(name=name, format=starter.format, source=starter.source, subject=starter.subject)


def _from_file(data: NewTemplate, faults: Faults) -> tuple[TemplateContent, None] | None:
    if data.file is None or not data.file.filename:
        faults.add("file", "Choose the file.")
        return None
    try:
        read = template_files.read(data.file.filename, data.file.file.read(MAX_SOURCE_BYTES + 1))
    except Problem as problem:
        faults.add("file", problem.detail)
        return None
    data.name = data.name.strip() or read.name
    return _checked(TemplateContent(name=data.name, format=read.format, source=read.source), faults), None


def _checked(text: TemplateContent, faults: Faults) -> TemplateContent:
    try:
        strict_json.check(TemplateShape, {"name": text.name, "format": text.format, "source": text.source})
    except Problem as problem:
        for error in problem.errors:
            field = error.pointer.lstrip("/")
            sentence = "Give the template a name." if field == "name" and not text.name else error.detail
            faults.add("start" if field == "format" else field, sentence)
    return text


def _form(workspace: Workspace, data: NewTemplate, faults: Faults) -> Response[Any]:
    return page(
        "templates/new.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        status_code=faults.status,
        data=data,
        faults=faults,
        starters=starters(),
        formats=FORMATS,
        kinds=KINDS,
    )


ROUTES = [index, new, create]
