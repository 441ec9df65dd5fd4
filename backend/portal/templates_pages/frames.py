"""What the editor's preview shows in frames and pictures: the HTML of an unsaved text, its links, its letter."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Template

from backend.branding import logos
from backend.channels import letter
from backend.db import database as db
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.security import PREVIEW_POLICY
from backend.portal.templates_pages import links
from backend.registry import drafts, previews
from backend.registry.drafts import Key

_SOMEBODY = ["Name of the reader", "1 Example Street", "EXAMPLE TOWN", "EX1 2MP"]


@get("/templates/{identifier:str}/preview/{digest:str}", guards=[access.editors], sync_to_thread=True)
def frame(workspace: NamedDependency[Workspace], identifier: FromPath[str], digest: FromPath[str]) -> Response[str]:
    """Serve the HTML of an unsaved text to its editor alone, for the sandboxed frame."""
    html = links.on_purpose(logos.embedded(_kept(workspace, identifier, digest)), _links(workspace, identifier, digest))
    return Response(html, media_type="text/html", headers={"Content-Security-Policy": PREVIEW_POLICY})


@get(
    "/templates/{identifier:str}/preview/{digest:str}/links/{number:int}", guards=[access.editors], sync_to_thread=True
)
def link(
    workspace: NamedDependency[Workspace], identifier: FromPath[str], digest: FromPath[str], number: FromPath[int]
) -> Template:
    """Show where a link of the preview leads."""
    return links.shown(workspace, _kept(workspace, identifier, digest), number, identifier)


@get("/templates/{identifier:str}/preview/{digest:str}/letter", guards=[access.editors], sync_to_thread=True)
def picture(workspace: NamedDependency[Workspace], identifier: FromPath[str], digest: FromPath[str]) -> Response[bytes]:
    """Serve a picture of the first page of an unsaved text as a letter."""
    drawn = letter.first_page(logos.embedded(_kept(workspace, identifier, digest)), _SOMEBODY)
    if isinstance(drawn, str):
        raise NotFoundException(drawn)
    return Response(drawn, media_type="image/png")


def _links(workspace: Workspace, identifier: str, digest: str) -> str:
    return workspace.address(f"templates/{identifier}/preview/{digest}/links")


def _kept(workspace: Workspace, identifier: str, digest: str) -> str:
    with db.current().read() as reading:
        present = drafts.working(reading, Key(workspace.service_id, identifier))
        html = previews.kept(reading, workspace.viewer.user_id, present.template_id, digest)
    if html is None:
        raise NotFoundException
    return html


ROUTES = [frame, link, picture]
