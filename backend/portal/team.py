"""The team of a service: members, their roles, and invitations."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from backend.accounts import audit, invitations, members, reach, services, users
from backend.accounts.users import Role
from backend.channels.addresses import masked
from backend.channels.base import Channel
from backend.db import database as db
from backend.portal import access, letters
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page
from backend.portal.templates import channel_word, role_word


class InviteForm(msgspec.Struct):
    """Whom to invite, and to which role."""

    email: str = ""
    role: str = "viewer"


class RoleForm(msgspec.Struct):
    """The role that somebody is given."""

    role: str = ""


class GuestForm(msgspec.Struct):
    """An address of somebody outside of the team, and its channel."""

    type: str = "EMAIL"
    address: str = ""


@get("/team", sync_to_thread=True)
def show(workspace: NamedDependency[Workspace]) -> Page:
    """Show who is in the team and who is invited."""
    return _page(workspace, InviteForm(), Faults())


@post("/team/invitations", guards=[access.administrators], sync_to_thread=True)
def invite(workspace: NamedDependency[Workspace], data: Sent[InviteForm]) -> Response[Any]:
    """Invite somebody by e-mail."""
    faults = Faults()
    role: Role = "viewer"
    with faults.on("email"):
        users.normalised(data.email)
    with faults.on("role"):
        role = members.checked_role(data.role)
    if not faults:
        with faults.on("email"):
            _invite(workspace, data.email, role)
    if faults:
        return _page(workspace, data, faults)
    return go(workspace.address("team"), f"The invitation to {data.email.strip()} is on its way.")


def _invite(workspace: Workspace, email: str, role: Role) -> None:
    with db.current().transaction() as transaction:
        service = services.service_by_id(transaction, workspace.service_id)
        invitation = invitations.invite(transaction, service, email, role, workspace.viewer.email)
        letters.invite(transaction, invitation, workspace.viewer.email, workspace.service_name, role)
        _write_down(transaction, workspace, "member.invited", invitation.email, role=role)


@post("/team/invitations/{invitation_id:int}/resend", guards=[access.administrators], sync_to_thread=True)
def resend(workspace: NamedDependency[Workspace], invitation_id: FromPath[int]) -> Response[Any]:
    """Send an invitation again, with a new link in place of the old one."""
    with db.current().transaction() as transaction:
        invitation = invitations.renew(transaction, workspace.service_id, invitation_id)
        role = invitations.by_id(transaction, invitation_id).role
        letters.invite(transaction, invitation, workspace.viewer.email, workspace.service_name, role)
        _write_down(transaction, workspace, "member.invited", invitation.email, again=True)
    return go(workspace.address("team"), f"A new link is on its way to {invitation.email}; the old one has ended.")


@post("/team/invitations/{invitation_id:int}/withdraw", guards=[access.administrators], sync_to_thread=True)
def withdraw(workspace: NamedDependency[Workspace], invitation_id: FromPath[int]) -> Response[Any]:
    """End an invitation."""
    with db.current().transaction() as transaction:
        email = invitations.withdraw(transaction, workspace.service_id, invitation_id)
        _write_down(transaction, workspace, "invitation.withdrawn", email)
    return go(workspace.address("team"), f"The invitation to {email} is withdrawn.")


@post("/team/members/{user_id:int}/role", guards=[access.administrators], sync_to_thread=True)
def change_role(workspace: NamedDependency[Workspace], user_id: FromPath[int], data: Sent[RoleForm]) -> Response[Any]:
    """Give a member another role."""
    role = members.checked_role(data.role)
    faults = Faults()
    with faults.on("team"), db.current().transaction() as transaction:
        email, before = members.change_role(transaction, workspace.service_id, user_id, role)
        if before != role:
            _write_down(transaction, workspace, "member.role_changed", email, before=before, after=role)
    if faults:
        return _page(workspace, InviteForm(), faults)
    return go(workspace.address("team"), f"{email} is {_as(role)} now.")


@post("/team/members/{user_id:int}/remove", guards=[access.administrators], sync_to_thread=True)
def remove(workspace: NamedDependency[Workspace], user_id: FromPath[int]) -> Response[Any]:
    """Take somebody out of the team."""
    faults = Faults()
    with faults.on("team"), db.current().transaction() as transaction:
        email = members.remove(transaction, workspace.service_id, user_id)
        _write_down(transaction, workspace, "member.removed", email)
    if faults:
        return _page(workspace, InviteForm(), faults)
    away = user_id == workspace.viewer.user_id and not workspace.viewer.platform_admin
    return go(
        "/portal" if away else workspace.address("team"), f"{email} has left the team of {workspace.service_name}."
    )


@post("/team/guests", guards=[access.administrators], sync_to_thread=True)
def add_guest(workspace: NamedDependency[Workspace], data: Sent[GuestForm]) -> Response[Any]:
    """Let an address be reached while the service, or a client of it, is held to the team."""
    faults, shown = Faults(), ""
    with faults.on("address"), db.current().transaction() as transaction:
        added = reach.add_guest(transaction, workspace.service_id, data.type, data.address, workspace.viewer.email)
        shown = masked(data.type, added)
        _write_down(transaction, workspace, "guest.added", shown, channel=data.type)
    if faults:
        return _page(workspace, InviteForm(), faults, guest=data)
    return go(f"{workspace.address('team')}#guests", f"{shown} is a guest now.")


@post("/team/guests/{guest_id:int}/remove", guards=[access.administrators], sync_to_thread=True)
def remove_guest(workspace: NamedDependency[Workspace], guest_id: FromPath[int]) -> Response[Any]:
    """Take an address off the list of guests."""
    with db.current().transaction() as transaction:
        guest = reach.remove_guest(transaction, workspace.service_id, guest_id)
        shown = masked(guest.type, guest.address)
        _write_down(transaction, workspace, "guest.removed", shown, channel=guest.type)
    return go(f"{workspace.address('team')}#guests", f"{shown} is no guest any more.")


def _as(role: Role) -> str:
    word = role_word(role).lower()
    return f"an {word}" if word[0] in "ae" else f"a {word}"


def _write_down(transaction: Any, workspace: Workspace, action: str, email: str, **detail: object) -> None:
    audit.record(transaction, workspace.actor, action, email, service_id=workspace.service_id, detail=detail)


def _page(workspace: Workspace, form: InviteForm, faults: Faults, guest: GuestForm | None = None) -> Page:
    with db.current().read() as reading:
        team = members.of_service(reading, workspace.service_id)
        waiting = invitations.waiting(reading, workspace.service_id) if workspace.may_administer else ()
        guests = [
            (one.id, one.type, masked(one.type, one.address)) for one in reach.guests(reading, workspace.service_id)
        ]
        service = services.service_by_id(reading, workspace.service_id)
    return page(
        "team/index.html",
        workspace.viewer,
        current="team",
        workspace=workspace,
        status_code=faults.status,
        team=team,
        waiting=waiting,
        guests=guests,
        guest=guest or GuestForm(),
        channels=[(channel.value, channel_word(channel.value)) for channel in Channel],
        on_trial=service is not None and not service.live,
        holds_clients=service is not None and service.holds_clients,
        form=form,
        faults=faults,
    )


ROUTES = [show, invite, resend, withdraw, change_role, remove, add_guest, remove_guest]
