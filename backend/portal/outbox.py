"""The outbox pages: the list that refreshes itself, and one message with its renditions.

They are pages of a service, and pages over all services of a person, which a capability key opens too.
"""

from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Stream, Template

from backend.db import database as db
from backend.portal import downloads, live
from backend.portal.access import OutboxAccess, Workspace
from backend.portal.pages import page
from backend.portal.security import MESSAGE_POLICY
from backend.reports import exports, messages
from backend.reports.messages import Message, Page

_LIST = "/portal/outbox"
View = Literal["html", "text", "source"]


class Way(msgspec.Struct, frozen=True):
    """The way to outbox pages: which messages it leads to, and what its addresses look like."""

    access: OutboxAccess
    workspace: Workspace | None = None

    def address(self, rest: str = "", **query: str) -> str:
        """Return the address of the list, or of what ``rest`` adds to it."""
        if self.workspace is not None:
            return self.workspace.address(f"outbox{rest}", **query)
        return self.access.address(f"{_LIST}{rest}", **query)

    def page(self, template: str, **context: Any) -> Template:
        """Make a page that stands where the way leads."""
        home = "" if self.workspace else self.address()
        return page(template, self.access.viewer, current="outbox", workspace=self.workspace, home=home, **context)


def _of(workspace: Workspace) -> Way:
    return Way(OutboxAccess((workspace.service_id,), workspace.viewer, None), workspace)


@get("/outbox", sync_to_thread=True)
def index(
    access: NamedDependency[OutboxAccess], before: FromQuery[UUID | None] = None, after: FromQuery[UUID | None] = None
) -> Template:
    """Show a page of the list over all services, or of the key's service."""
    return _index(Way(access), before, after)


@get("/outbox", sync_to_thread=True)
def index_of_service(
    workspace: NamedDependency[Workspace], before: FromQuery[UUID | None] = None, after: FromQuery[UUID | None] = None
) -> Template:
    """Show a page of a service's list."""
    return _index(_of(workspace), before, after)


def _index(way: Way, before: UUID | None, after: UUID | None) -> Template:
    with db.current().read() as reading:
        found = messages.page(reading, way.access.services, before=before, after=after)
    first = before is None and after is None
    return way.page("outbox/index.html", **_list(way, found), first=first, fresh=set())


def as_file(access: NamedDependency[OutboxAccess], request: Request[Any, Any, Any]) -> Stream:
    """Give the messages of all services that may be seen."""
    return downloads.as_file(request, exports.outbox(access.services), "outbox")


@get("/outbox/list", guards=[live.inside_its_page], sync_to_thread=True)
def refresh(access: NamedDependency[OutboxAccess], latest: FromQuery[str] = "") -> Response[None] | Template:
    """Answer the first page's own refresh: nothing (204) while ``latest`` is still the newest message's id."""
    return _refresh(Way(access), latest)


@get("/outbox/list", guards=[live.inside_its_page], sync_to_thread=True)
def refresh_of_service(workspace: NamedDependency[Workspace], latest: FromQuery[str] = "") -> Response[None] | Template:
    """Answer the own refresh of a service's list in the same way."""
    return _refresh(_of(workspace), latest)


def _refresh(way: Way, latest: str) -> Response[None] | Template:
    with db.current().read() as reading:
        if latest == str(messages.newest(reading, way.access.services) or ""):
            return Response(None, status_code=204)
        found = messages.page(reading, way.access.services)
    uids = [str(row.uid) for row in found.rows]
    fresh = set(uids[: uids.index(latest)] if latest in uids else uids)
    return way.page("outbox/_update.html", **_list(way, found), first=True, fresh=fresh)


@get("/outbox/{uid:uuid}", sync_to_thread=True)
def show(access: NamedDependency[OutboxAccess], uid: FromPath[UUID], view: FromQuery[View | None] = None) -> Template:
    """Show one message: its headers and one of its renditions."""
    return _show(Way(access), uid, view)


@get("/outbox/{uid:uuid}", sync_to_thread=True)
def show_of_service(
    workspace: NamedDependency[Workspace], uid: FromPath[UUID], view: FromQuery[View | None] = None
) -> Template:
    """Show one message of a service."""
    return _show(_of(workspace), uid, view)


def _show(way: Way, uid: UUID, view: View | None) -> Template:
    message = _message(way, uid)
    views = ["html", "text", "source"] if message.html else ["text"]
    chosen = view if view in views else views[0]
    return way.page(
        "outbox/show.html",
        message=message,
        view=chosen,
        tabs=[(name, way.address(f"/{uid}", view=name)) for name in views],
        rendition=way.address(f"/{uid}/html"),
        back=way.address(),
    )


@get("/outbox/{uid:uuid}/html", sync_to_thread=True)
def rendition(access: NamedDependency[OutboxAccess], uid: FromPath[UUID]) -> Response[str]:
    """Serve the message's HTML alone, for the sandboxed frame."""
    return _rendition(Way(access), uid)


@get("/outbox/{uid:uuid}/html", sync_to_thread=True)
def rendition_of_service(workspace: NamedDependency[Workspace], uid: FromPath[UUID]) -> Response[str]:
    """Serve the HTML of a service's message alone."""
    return _rendition(_of(workspace), uid)


def _rendition(way: Way, uid: UUID) -> Response[str]:
    with db.current().read() as reading:
        html = messages.shown_html(reading, way.access.services, uid)
    if not html:
        raise NotFoundException
    return Response(html, media_type="text/html", headers={"Content-Security-Policy": MESSAGE_POLICY})


def _message(way: Way, uid: UUID) -> Message:
    with db.current().read() as reading:
        message = messages.message(reading, way.access.services, uid)
    if message is None:
        raise NotFoundException
    return message


def _list(way: Way, found: Page) -> dict[str, Any]:
    """Describe the list for its template, the same way for the page and for its refresh."""
    services = way.access.services
    latest = str(found.rows[0].uid) if found.rows else ""
    return {
        "rows": [(row, way.address(f"/{row.uid}")) for row in found.rows],
        "several": services is None or len(services) > 1,
        "homeless": services == (),
        "guide": way.workspace.address("guide") if way.workspace else None,
        "newest": way.address(),
        "export": {kind: way.address(f".{kind}") for kind in ("csv", "xlsx")},
        "newer": way.address(after=str(found.newer)) if found.newer else None,
        "older": way.address(before=str(found.older)) if found.older else None,
        "refresh": way.address("/list", latest=latest),
    }


ROUTES = [index, refresh, show, rendition, *downloads.as_both("/outbox", as_file)]
ROUTES_OF_A_SERVICE = [index_of_service, refresh_of_service, show_of_service, rendition_of_service]
