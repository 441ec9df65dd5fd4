"""The brand of an organisation, which its services have where they have none of their own."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from backend.accounts import organisations
from backend.accounts.sessions import Viewer
from backend.branding import brands
from backend.branding.brands import Above, Owner
from backend.db import database as db
from backend.portal import branding, branding_form, live
from backend.portal.access import actor
from backend.portal.admin.tabs import ADMIN
from backend.portal.branding import Desk, Form
from backend.portal.forms import Faults
from backend.portal.pages import Page

_PATH = "/admin/organisations/{organisation_id:int}/branding"


@get(_PATH, sync_to_thread=True)
def show(viewer: NamedDependency[Viewer], organisation_id: FromPath[int]) -> Page:
    """Show the organisation's brand in a form."""
    desk = _desk(viewer, organisation_id)
    return branding.shown(viewer, desk, branding_form.of(desk.own, desk.over), Faults())


@post(_PATH, request_max_body_size=branding.MAX_BODY, sync_to_thread=True)
def save(viewer: NamedDependency[Viewer], organisation_id: FromPath[int], data: Form) -> Response[Any]:
    """Change the organisation's brand, or show what a change would look like."""
    return branding.answered(viewer, _desk(viewer, organisation_id), data)


@get(f"{_PATH}/look", guards=[live.inside_its_page], sync_to_thread=True)
def look(viewer: NamedDependency[Viewer], organisation_id: FromPath[int], request: Request[Any, Any, Any]) -> Page:
    """Answer with the part of the page that shows how messages would come out."""
    return branding.looked(viewer, _desk(viewer, organisation_id), request.query_params)


@get(f"{_PATH}/preview", sync_to_thread=True)
def preview(
    viewer: NamedDependency[Viewer], organisation_id: FromPath[int], request: Request[Any, Any, Any]
) -> Response[str]:
    """Serve a starter with a brand that is not saved, for the sandboxed frame."""
    return branding.framed(_desk(viewer, organisation_id), request.query_params)


def _desk(viewer: Viewer, organisation_id: int) -> Desk:
    with db.current().read() as reading:
        name = organisations.get(reading, organisation_id).name
        owner = Owner(name, organisation_id=organisation_id)
        own = brands.of(reading, owner)
    back = f"{ADMIN}/organisations/{organisation_id}"
    return Desk(owner, f"{back}/branding", back, actor(viewer), own, Above(name))


ROUTES = [show, save, look, preview]
