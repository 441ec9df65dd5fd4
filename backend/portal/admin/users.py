"""Users: listed, invited, unlocked, switched on and off, made administrators."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from backend.accounts import administration, audit, identities, invitations, second_factor, users
from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.lib.problems import Problem
from backend.portal import downloads, letters
from backend.portal.access import actor
from backend.portal.admin.tabs import ADMIN, admin_page
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go
from backend.reports import exports

_LIST = f"{ADMIN}/users"
_DONE = {
    "unlock": ("user.unlocked", "can try again."),
    "switch-off": ("user.switched_off", "is switched off and signed out everywhere."),
    "switch-on": ("user.switched_on", "can sign in again."),
    "drop-factor": ("second_factor.dropped", "signs in with the password alone until they set it up again."),
    "make-admin": ("user.made_platform_admin", "is a platform administrator now."),
    "make-ordinary": ("user.made_ordinary", "is no platform administrator any more."),
}


class InviteForm(msgspec.Struct):
    """Whom to invite to an account, without a service."""

    email: str = ""


class ActForm(msgspec.Struct):
    """What to do with a user: a key of the list above."""

    act: str = ""


@get("/admin/users", sync_to_thread=True)
def index(
    viewer: NamedDependency[Viewer],
    search: Annotated[str, QueryParameter(name="q")] = "",
    after: Annotated[str, QueryParameter(name="after")] = "",
) -> Page:
    """List the users."""
    return _list(viewer, InviteForm(), Faults(), search, after)


def as_file(request: Request[Any, Any, Any]) -> Stream:
    """Give all users that the search finds."""
    return downloads.as_file(request, exports.people(request.query_params.get("q", "")), "users")


@post("/admin/users", sync_to_thread=True)
def invite(viewer: NamedDependency[Viewer], data: Sent[InviteForm]) -> Response[Any]:
    """Invite somebody to an account; an invitation that waits is sent anew."""
    faults = Faults()
    with faults.on("email"), db.current().transaction() as transaction:
        address = users.normalised(data.email)
        open_one = next((one for one in invitations.waiting(transaction, None) if one.email == address), None)
        if open_one is not None:
            invitation = invitations.renew(transaction, None, open_one.id)
        else:
            invitation = invitations.invite(transaction, None, address, "viewer", viewer.email)
        letters.invite(transaction, invitation, viewer.email, None, "viewer")
        audit.record(transaction, actor(viewer), "user.invited", address, service_id=None)
    if faults:
        return _list(viewer, data, faults, "", "")
    return go(_LIST, f"The invitation to {data.email.strip()} is on its way.")


@get("/admin/users/{user_id:int}", sync_to_thread=True)
def show(viewer: NamedDependency[Viewer], user_id: FromPath[int]) -> Page:
    """Show one user."""
    return _page(viewer, user_id, None)


@post("/admin/users/{user_id:int}", sync_to_thread=True)
def act(viewer: NamedDependency[Viewer], user_id: FromPath[int], data: Sent[ActForm]) -> Response[Any]:
    """Unlock a user, switch them off or on, make them an administrator or an ordinary user."""
    if data.act not in _DONE:
        raise NotFoundException
    action, words = _DONE[data.act]
    try:
        with db.current().transaction() as transaction:
            user = administration.person(transaction, user_id)
            match data.act:
                case "unlock":
                    administration.unlock(user)
                case "switch-off" | "switch-on":
                    administration.switch(transaction, user, active=data.act == "switch-on")
                case "drop-factor":
                    second_factor.turn_off(transaction, user.id)
                    letters.tell_of_second_factor(transaction, user, "off")
                case _:
                    administration.make_administrator(transaction, user, platform_admin=data.act == "make-admin")
            audit.record(transaction, actor(viewer), action, user.email, service_id=None)
    except Problem as problem:
        if problem.code != "last_administrator":
            raise
        return _page(viewer, user_id, problem.detail)
    return go(f"{_LIST}/{user_id}", f"{user.email} {words}")


def _list(viewer: Viewer, form: InviteForm, faults: Faults, search: str, after: str) -> Page:
    with db.current().read() as reading:
        found = administration.people(reading, search, after)
        waiting = invitations.waiting(reading, None)
    rows = found[: administration.PAGE_LENGTH]
    return admin_page(
        "users",
        viewer,
        "users",
        status_code=faults.status,
        rows=[(user, users.is_locked(user)) for user in rows],
        following=rows[-1].email if len(found) > len(rows) else None,
        waiting=waiting,
        form=form,
        faults=faults,
        search=search,
        paged=bool(after),
    )


def _page(viewer: Viewer, user_id: int, fault: str | None) -> Page:
    with db.current().read() as reading:
        user = administration.person(reading, user_id)
        roles = administration.roles(reading, user_id)
        known = identities.of_user(reading, user_id)
        two_factors = second_factor.is_on(reading, user_id)
    status_code = 409 if fault else 200
    return admin_page(
        "user",
        viewer,
        "users",
        status_code=status_code,
        user=user,
        locked=users.is_locked(user),
        roles=roles,
        identities=known,
        two_factors=two_factors,
        fault=fault,
    )


ROUTES = [index, invite, show, act, *downloads.as_both("/admin/users", as_file)]
