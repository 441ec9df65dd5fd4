"""Beginning a template as the copy of another."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from backend.accounts import audit
from backend.db import database as db
from backend.lib import strict_json
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import go, page
from backend.registry import drafts, duplicates
from backend.registry.drafts import Key
from backend.registry.owned import check_identifier
from backend.registry.shapes import TemplateShape


class DuplicateForm(msgspec.Struct, kw_only=True):
    """What the form sends: what the copy is called, by people and by systems."""

    name: str = ""
    identifier: str = ""


@get("/templates/{identifier:str}/duplicate", guards=[access.editors], sync_to_thread=True)
def ask(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Response[Any]:
    """Ask what the copy is to be called, with a suggestion."""
    with db.current().read() as reading:
        name = drafts.working(reading, Key(workspace.service_id, identifier)).content.name
        data = DuplicateForm(name=f"Copy of {name}"[:160], identifier=duplicates.suggested(reading, identifier))
    return _form(workspace, identifier, data, Faults())


@post("/templates/{identifier:str}/duplicate", guards=[access.editors], sync_to_thread=True)
def duplicate(
    workspace: NamedDependency[Workspace],
    identifier: FromPath[str],
    data: Sent[DuplicateForm],
) -> Response[Any]:
    """Begin the copy, and go to its editor."""
    faults = Faults()
    data.name, data.identifier = data.name.strip(), data.identifier.strip()
    _check_name(data.name, faults)
    with faults.on("identifier"):
        check_identifier(data.identifier)
    if not faults:
        with faults.on("identifier"), db.current().transaction() as transaction:
            key = Key(workspace.service_id, identifier)
            duplicates.duplicate(transaction, key, data.identifier, data.name, workspace.viewer.email)
            detail = {"from": identifier}
            audit.record(
                transaction,
                workspace.actor,
                "template.begun",
                data.identifier,
                service_id=workspace.service_id,
                detail=detail,
            )
    if faults:
        return _form(workspace, identifier, data, faults)
    return go(workspace.address(f"templates/{data.identifier}"), done=f"This is the copy of {identifier}.")


def _check_name(name: str, faults: Faults) -> None:
    try:
        strict_json.check(TemplateShape, {"name": name, "format": "text", "source": "x"})
    except Problem as problem:
        faults.add("name", problem.errors[0].detail if name else "Give the copy a name.")


def _form(workspace: Workspace, identifier: str, data: DuplicateForm, faults: Faults) -> Response[Any]:
    with db.current().read() as reading:
        present = drafts.working(reading, Key(workspace.service_id, identifier))
    return page(
        "templates/duplicate.html",
        workspace.viewer,
        current="templates",
        workspace=workspace,
        status_code=faults.status,
        present=present,
        data=data,
        faults=faults,
    )


ROUTES = [ask, duplicate]
