"""What fails for one reason: a look at what sending it again would do, doing it in one step, and what came of that."""

from uuid import UUID

from litestar import get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from backend.corrections import preview, report, send
from backend.db import database as db
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.pages import Go, Page, go, page


@get("/failures/{key:str}", sync_to_thread=True)
def show(workspace: NamedDependency[Workspace], key: FromPath[str]) -> Page:
    """Show what fails so, and what would go if it were sent again."""
    found = preview.of(workspace.service_id, key)
    if found is None:
        return _gone(workspace)
    return page(
        "failures/show.html",
        workspace.viewer,
        current="home",
        workspace=workspace,
        found=found,
        shown=found.lines[: preview.SHOWN],
        own=workspace.address(f"failures/{key}"),
    )


def _gone(workspace: Workspace) -> Page:
    return page("failures/gone.html", workspace.viewer, current="home", workspace=workspace, status_code=404)


@post("/failures/{key:str}/again", guards=[access.editors], status_code=200, sync_to_thread=True)
def send_again(workspace: NamedDependency[Workspace], key: FromPath[str]) -> Go | Page:
    """Send all of it again."""
    try:
        uid = send.send(workspace.service_id, key, workspace.actor)
    except Problem:
        return _gone(workspace)
    if uid is None:
        return go(workspace.address(f"failures/{key}"), done="Nothing was sent: none of this can go yet.")
    return go(workspace.address(f"sent-again/{uid}"), done="Done. What has become of each stands here.")


@get("/sent-again/{uid:uuid}", sync_to_thread=True)
def sent(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Page:
    """Report what was sent again, by whom, and what has become of it."""
    with db.current().read() as reading:
        found = report.of(reading, workspace.service_id, uid)
    if found is None:
        raise NotFoundException
    return page("failures/sent.html", workspace.viewer, current="notifications", workspace=workspace, found=found)


ROUTES = [show, send_again, sent]
