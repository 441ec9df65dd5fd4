"""The page of an address, and looking one up: its name in the page's own address is sealed, so no log knows it."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from backend.db import database as db
from backend.lib import inputs, settings
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page
from backend.registry import address_ids
from backend.reports import address


class FindForm(msgspec.Struct):
    """The address that is looked for."""

    address: str = ""


@get("/addresses", sync_to_thread=True)
def index(workspace: NamedDependency[Workspace]) -> Page:
    """Ask which address is meant."""
    return _ask(workspace, "", Faults())


def _ask(workspace: Workspace, given: str, faults: Faults) -> Page:
    return page(
        "addresses/index.html",
        workspace.viewer,
        current="recipients",
        workspace=workspace,
        status_code=faults.status,
        given=given,
        faults=faults,
    )


@post("/addresses", status_code=200, sync_to_thread=True)
def find(workspace: NamedDependency[Workspace], data: Sent[FindForm]) -> Response[Any]:
    """Lead to the page of an address."""
    faults, found = Faults(), ""
    with faults.on("address"):
        found = address.canonical(data.address, settings.current().outbound_allow)
    if faults:
        return _ask(workspace, data.address, faults)
    return go(workspace.address(f"addresses/{address_ids.seal(workspace.service_id, found)}"))


@get("/addresses/{name:str}", sync_to_thread=True)
def show(workspace: NamedDependency[Workspace], name: FromPath[str], before: FromQuery[int | None] = None) -> Page:
    """Show what was sent to an address, and what came back."""
    wanted = address_ids.opened(workspace.service_id, name)
    behind = inputs.bounded(before)
    with db.current().read() as reading:
        found = address.report(reading, workspace.service_id, wanted, behind)
    own = f"addresses/{name}"
    return page(
        "addresses/show.html",
        workspace.viewer,
        current="recipients",
        workspace=workspace,
        found=found,
        name=name,
        newest=workspace.address(own) if behind is not None else None,
        older=workspace.address(own, before=found.older) if found.older is not None else None,
    )


ROUTES = [index, find, show]
