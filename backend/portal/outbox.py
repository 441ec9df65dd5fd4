"""The outbox pages: the list that refreshes itself, and one message with its renditions."""

from typing import Any, Literal
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Template

from backend.db import session
from backend.portal.access import OutboxAccess
from backend.portal.pages import page
from backend.portal.security import MESSAGE_POLICY
from backend.reports import outbox
from backend.reports.outbox import Message, Page

_LIST = "/portal/outbox"
View = Literal["html", "text", "source"]


@get("/outbox", sync_to_thread=True)
def index(
    access: NamedDependency[OutboxAccess], before: FromQuery[UUID | None] = None, after: FromQuery[UUID | None] = None
) -> Template:
    """Show a page of the list."""
    with session.current().read() as reading:
        found = outbox.page(reading, access.services, before=before, after=after)
    first = before is None and after is None
    return page("outbox/index.html", access.viewer, **_own(access), **_list(access, found), first=first, fresh=set())


@get("/outbox/list", sync_to_thread=True)
def refresh(access: NamedDependency[OutboxAccess], latest: FromQuery[str] = "") -> Response[None] | Template:
    """Answer the first page's own refresh: nothing (204) while ``latest`` is still the newest message's id."""
    with session.current().read() as reading:
        if latest == str(outbox.newest(reading, access.services) or ""):
            return Response(None, status_code=204)
        found = outbox.page(reading, access.services)
    uids = [str(row.uid) for row in found.rows]
    fresh = set(uids[: uids.index(latest)] if latest in uids else uids)
    return page("outbox/_update.html", access.viewer, **_list(access, found), first=True, fresh=fresh)


@get("/outbox/{uid:uuid}", sync_to_thread=True)
def show(access: NamedDependency[OutboxAccess], uid: FromPath[UUID], view: FromQuery[View | None] = None) -> Template:
    """Show one message: its headers and one of its renditions."""
    message = _message(access, uid)
    views = ["html", "text", "source"] if message.html else ["text"]
    chosen = view if view in views else views[0]
    own = f"{_LIST}/{uid}"
    return page(
        "outbox/show.html",
        access.viewer,
        **_own(access),
        message=message,
        view=chosen,
        tabs=[(name, access.address(own, view=name)) for name in views],
        rendition=access.address(f"{own}/html"),
        back=access.address(_LIST),
    )


@get("/outbox/{uid:uuid}/html", sync_to_thread=True)
def rendition(access: NamedDependency[OutboxAccess], uid: FromPath[UUID]) -> Response[str]:
    """Serve the message's HTML alone, for the sandboxed frame."""
    message = _message(access, uid)
    if not message.html:
        raise NotFoundException
    return Response(message.html, media_type="text/html", headers={"Content-Security-Policy": MESSAGE_POLICY})


def _message(access: OutboxAccess, uid: UUID) -> Message:
    with session.current().read() as reading:
        message = outbox.message(reading, access.services, uid)
    if message is None:
        raise NotFoundException
    return message


def _own(access: OutboxAccess) -> dict[str, Any]:
    return {"current": "outbox", "home": access.address(_LIST)}


def _list(access: OutboxAccess, found: Page) -> dict[str, Any]:
    """Describe the list for its template, the same way for the page and for its refresh."""
    latest = str(found.rows[0].uid) if found.rows else ""
    return {
        "rows": [(row, access.address(f"{_LIST}/{row.uid}")) for row in found.rows],
        "several": access.services is None or len(access.services) > 1,
        "homeless": access.services == (),
        "newest": access.address(_LIST),
        "newer": access.address(_LIST, after=str(found.newer)) if found.newer else None,
        "older": access.address(_LIST, before=str(found.older)) if found.older else None,
        "refresh": access.address(f"{_LIST}/list", latest=latest),
    }


ROUTES = [index, refresh, show, rendition]
