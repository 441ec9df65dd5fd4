"""Where the portal begins: the way to the service that one saw last, and the choice among all."""

from typing import Annotated

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Redirect

from backend.accounts import services
from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.portal.access import SERVICES
from backend.portal.pages import Page, page


@get("/", sync_to_thread=True)
def begin(viewer: NamedDependency[Viewer]) -> Response[None] | Page:
    """Lead to the home page of the service seen last, or the first one; say what to do where there is none."""
    with db.current().read() as reading:
        last = services.reachable(reading, viewer.reach, first=viewer.last, limit=1)
    if not last:
        return page("services/none.html", viewer)
    return Redirect(f"{SERVICES}/{last[0].id}", status_code=303)


@get("/services", sync_to_thread=True)
def choose(viewer: NamedDependency[Viewer], search: Annotated[str, QueryParameter(name="q")] = "") -> Page:
    """Show the services that the viewer may go to, by name."""
    with db.current().read() as reading:
        found = services.reachable(reading, viewer.reach, search=search.strip()[: services.MAX_NAME], limit=200)
    roles = {member.service_id: member.role for member in viewer.memberships}
    rows = [(row, f"{SERVICES}/{row.id}", roles.get(row.id)) for row in found]
    return page("services/index.html", viewer, rows=rows, search=search)


ROUTES = [begin, choose]
