"""The team of a service: members, their roles, and invitations."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath

from backend.accounts import audit, invitations, members, services, users
from backend.accounts.users import Role
from backend.db import session
from backend.portal import access, letters
from backend.portal.access import Place
from backend.portal.forms import Faults
from backend.portal.pages import Page, go, page
from backend.portal.templates import role_word


class InviteForm(msgspec.Struct):
    """Whom to invite, and to which role."""

    email: str = ""
    role: str = "viewer"


class RoleForm(msgspec.Struct):
    """The role that somebody is given."""

    role: str = ""


@get("/team", sync_to_thread=True)
def show(place: NamedDependency[Place]) -> Page:
    """Show who is in the team and who is invited."""
    return _page(place, InviteForm(), Faults())


@post("/team/invitations", guards=[access.administrators], sync_to_thread=True)
def invite(
    place: NamedDependency[Place], data: Annotated[InviteForm, Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> Response[Any]:
    """Invite somebody by e-mail."""
    faults = Faults()
    role: Role = "viewer"
    with faults.on("email"):
        users.normalised(data.email)
    with faults.on("role"):
        role = members.checked_role(data.role)
    if not faults:
        with faults.on("email"):
            _invite(place, data.email, role)
    if faults:
        return _page(place, data, faults)
    return go(place.address("team"), f"The invitation to {data.email.strip()} is on its way.")


def _invite(place: Place, email: str, role: Role) -> None:
    with session.current().write() as transaction:
        service = services.service_by_id(transaction, place.service_id)
        invitation = invitations.invite(transaction, service, email, role, place.viewer.email)
        letters.invite(transaction, invitation, place.viewer.email, place.service_name, role)
        _write_down(transaction, place, "member.invited", invitation.email, role=role)


@post("/team/invitations/{invitation_id:int}/resend", guards=[access.administrators], sync_to_thread=True)
def resend(place: NamedDependency[Place], invitation_id: FromPath[int]) -> Response[Any]:
    """Send an invitation again, with a new link in place of the old one."""
    with session.current().write() as transaction:
        invitation = invitations.renew(transaction, place.service_id, invitation_id)
        role = invitations.by_id(transaction, invitation_id).role
        letters.invite(transaction, invitation, place.viewer.email, place.service_name, role)
        _write_down(transaction, place, "member.invited", invitation.email, again=True)
    return go(place.address("team"), f"A new link is on its way to {invitation.email}; the old one has ended.")


@post("/team/invitations/{invitation_id:int}/withdraw", guards=[access.administrators], sync_to_thread=True)
def withdraw(place: NamedDependency[Place], invitation_id: FromPath[int]) -> Response[Any]:
    """End an invitation."""
    with session.current().write() as transaction:
        email = invitations.withdraw(transaction, place.service_id, invitation_id)
        _write_down(transaction, place, "invitation.withdrawn", email)
    return go(place.address("team"), f"The invitation to {email} is withdrawn.")


@post("/team/members/{user_id:int}/role", guards=[access.administrators], sync_to_thread=True)
def change_role(
    place: NamedDependency[Place],
    user_id: FromPath[int],
    data: Annotated[RoleForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Give a member another role."""
    role = members.checked_role(data.role)
    faults = Faults()
    with faults.on("team"), session.current().write() as transaction:
        email, before = members.change_role(transaction, place.service_id, user_id, role)
        if before != role:
            _write_down(transaction, place, "member.role_changed", email, before=before, after=role)
    if faults:
        return _page(place, InviteForm(), faults)
    return go(place.address("team"), f"{email} is {_as(role)} now.")


@post("/team/members/{user_id:int}/remove", guards=[access.administrators], sync_to_thread=True)
def remove(place: NamedDependency[Place], user_id: FromPath[int]) -> Response[Any]:
    """Take somebody out of the team."""
    faults = Faults()
    with faults.on("team"), session.current().write() as transaction:
        email = members.remove(transaction, place.service_id, user_id)
        _write_down(transaction, place, "member.removed", email)
    if faults:
        return _page(place, InviteForm(), faults)
    away = user_id == place.viewer.user_id and not place.viewer.platform_admin
    return go("/portal" if away else place.address("team"), f"{email} has left the team of {place.service_name}.")


def _as(role: Role) -> str:
    word = role_word(role).lower()
    return f"an {word}" if word[0] in "ae" else f"a {word}"


def _write_down(transaction: Any, place: Place, action: str, email: str, **detail: object) -> None:
    audit.record(transaction, place.actor, action, email, service_id=place.service_id, detail=detail)


def _page(place: Place, form: InviteForm, faults: Faults) -> Page:
    with session.current().read() as reading:
        team = members.of_service(reading, place.service_id)
        waiting = invitations.waiting(reading, place.service_id) if place.may_administer else ()
    return page(
        "team/index.html",
        place.viewer,
        current="team",
        place=place,
        status_code=faults.status,
        team=team,
        waiting=waiting,
        form=form,
        faults=faults,
    )


ROUTES = [show, invite, resend, withdraw, change_role, remove]
