"""Groups of the OpenID provider: which role the members of each have in which service."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from backend.accounts import audit, group_roles, members, oidc, services
from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.lib import settings
from backend.portal import downloads
from backend.portal.access import actor
from backend.portal.admin.tabs import ADMIN, admin_page
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go
from backend.portal.templates import role_word
from backend.reports import exports

_LIST = f"{ADMIN}/groups"


class GroupForm(msgspec.Struct):
    """A group with the name of a service, and the role that its members have there."""

    group: str = ""
    service: str = ""
    role: str = "viewer"


@get("/admin/groups", sync_to_thread=True)
def index(viewer: NamedDependency[Viewer]) -> Page:
    """List the groups that have a role."""
    return _page(viewer, GroupForm(), Faults())


def as_file(request: Request[Any, Any, Any]) -> Stream:
    """Give all groups of the list."""
    return downloads.as_file(request, exports.groups(), "groups")


@post("/admin/groups", sync_to_thread=True)
def add(viewer: NamedDependency[Viewer], data: Sent[GroupForm]) -> Response[Any]:
    """Give a group a role in a service."""
    faults = Faults()
    with faults.on("group"):
        group_roles.checked_group(data.group)
    with faults.on("role"):
        members.checked_role(data.role)
    if not faults:
        with faults.on("service"), db.current().transaction() as transaction:
            service = services.named_service(transaction, data.service.strip())
            made = group_roles.add(transaction, data.group, service, data.role)
            detail: dict[str, object] = {"role": made.role}
            audit.record(transaction, actor(viewer), "group_role.set", made.group, service_id=service.id, detail=detail)
    if faults:
        return _page(viewer, data, faults)
    role = role_word(made.role).lower()
    return go(_LIST, f"The members of {made.group} have the role {role} in {made.service} from their next sign-in on.")


@post("/admin/groups/{row_id:int}/remove", sync_to_thread=True)
def remove(viewer: NamedDependency[Viewer], row_id: FromPath[int]) -> Response[Any]:
    """Take a group's role away."""
    with db.current().transaction() as transaction:
        gone = group_roles.remove(transaction, row_id)
        detail: dict[str, object] = {"role": gone.role}
        audit.record(
            transaction, actor(viewer), "group_role.removed", gone.group, service_id=gone.service_id, detail=detail
        )
    return go(
        _LIST, f"{gone.group} gives no role in {gone.service} any more: its members lose it at their next sign-in."
    )


def _page(viewer: Viewer, form: GroupForm, faults: Faults) -> Page:
    with db.current().read() as reading:
        rows = group_roles.listed(reading)
    return admin_page(
        "groups",
        viewer,
        "groups",
        status_code=faults.status,
        rows=rows,
        form=form,
        faults=faults,
        claim=settings.current().oidc_groups_claim,
        provider=oidc.provider_name(),
    )


ROUTES = [index, add, remove, *downloads.as_both("/admin/groups", as_file)]
