"""A matter: its whole life over all channels, and the button that says that it is over."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery

from backend.db import database as db
from backend.delivery.content import matters as known
from backend.intake import matters as resolving
from backend.lib import ids, inputs
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page
from backend.reports import matters, messages

_PAGE = 50
_LONGEST_NOTE = 2000


class ResolveForm(msgspec.Struct):
    """What is told besides that a matter is resolved."""

    note: str = ""


def address(workspace: Workspace, matter: str | None) -> str | None:
    """Return the address of a matter's page; none of no matter."""
    return workspace.address(f"matters/{ids.matter_id(workspace.service_id, matter)}") if matter else None


@get("/matters/{uid:uuid}", sync_to_thread=True)
def show(workspace: NamedDependency[Workspace], uid: FromPath[UUID], before: FromQuery[int | None] = None) -> Page:
    """Show a matter with what was sent about it."""
    return _page(workspace, uid, before, "", Faults())


@post("/matters/{uid:uuid}/resolve", guards=[access.editors], status_code=200, sync_to_thread=True)
def resolve(workspace: NamedDependency[Workspace], uid: FromPath[UUID], data: Sent[ResolveForm]) -> Response[Any]:
    """Say on every conversation about a matter that it is resolved."""
    note = data.note.replace("\r\n", "\n").replace("\x00", "").strip()
    faults = Faults()
    if len(note) > _LONGEST_NOTE:
        faults.add("note", f"A note has at most {_LONGEST_NOTE:,} characters; this one has {len(note):,}.")
        return _page(workspace, uid, None, note, faults)
    done = resolving.resolve(workspace.service_id, _name(workspace, uid), note or None, workspace.actor)
    said = "Resolved: everybody who was told of it hears so." if done else "It was resolved already."
    return go(workspace.address(f"matters/{uid}"), done=said)


def _name(workspace: Workspace, uid: UUID) -> str:
    with db.current().read() as reading:
        found = known.name_of(reading, workspace.service_id, uid)
    if found is None:
        raise NotFoundException
    return found


def _page(workspace: Workspace, uid: UUID, before: int | None, note: str, faults: Faults) -> Page:
    behind = inputs.bounded(before)
    name = _name(workspace, uid)
    with db.current().read() as reading:
        found = matters.report(reading, workspace.service_id, name, limit=_PAGE, before=behind)
        if found is None:
            raise NotFoundException
        report, last = found
        quiet = matters.quiet(reading, workspace.service_id, name) if behind is None else []
        lying = messages.deliveries(reading, [UUID(one.id) for one in report.messages])
    own = f"matters/{uid}"
    return page(
        "matters/show.html",
        workspace.viewer,
        current="notifications",
        workspace=workspace,
        status_code=faults.status,
        matter=report,
        quiet=quiet,
        kept={str(uid) for uid in lying},
        own=workspace.address(own),
        note=note,
        faults=faults,
        newest=workspace.address(own) if behind is not None else None,
        older=workspace.address(own, before=last) if last is not None else None,
    )


ROUTES = [show, resolve]
