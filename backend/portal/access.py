"""Who may see a page and change what is on it: people who are signed in, in the roles that they have."""

from typing import Any, Literal
from urllib.parse import urlencode

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.exceptions import NotFoundException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler

from backend.accounts import audit, services, sessions
from backend.accounts.sessions import Viewer
from backend.accounts.users import Role
from backend.db import database as db
from backend.lib.fair_pool import Share
from backend.portal import keys
from backend.portal.security import cookie_name, in_production
from backend.portal.whereabouts import OWN_REFRESH
from backend.registry import provenance

SIGN_IN = "/portal/sign-in"
SERVICES = "/portal/services"
ACCOUNT = "/portal/account"
SECOND_FACTOR = f"{ACCOUNT}/second-factor"
_RANKS: dict[Role, int] = {"viewer": 0, "editor": 1, "admin": 2}


class SignInNeededError(Exception):
    """The page is for people who are signed in, and nobody is."""


class SecondFactorNeededError(Exception):
    """Somebody is signed in who has to set up two-factor sign-in first."""


class RoleNeededError(PermissionDeniedException):
    """The page is for people with another role; ``needed`` says for whom."""

    def __init__(self, needed: Literal["editors", "administrators", "platform administrators"]) -> None:
        super().__init__(f"This is for {needed}.")
        self.needed = needed


class Workspace(msgspec.Struct, frozen=True):
    """The service whose page is looked at, by whom and in which role; platform administrators count as ``admin``."""

    viewer: Viewer
    service_id: int
    service_name: str
    role: Role

    @property
    def share(self) -> Share:
        """Return on whose account templates are rendered for these pages."""
        return Share(self.service_id)

    def address(self, path: str = "", **query: str | int | None) -> str:
        """Return the address of one of the service's pages, ``/portal/services/7/path?…``; None leaves a name out."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        whole = f"{SERVICES}/{self.service_id}" + (f"/{path.lstrip('/')}" if path else "")
        return f"{whole}?{urlencode(given)}" if given else whole

    @property
    def may_edit(self) -> bool:
        """Tell whether they may change recipients, templates and the like."""
        return _RANKS[self.role] >= _RANKS["editor"]

    @property
    def may_administer(self) -> bool:
        """Tell whether they may change the team, the settings and the API clients."""
        return self.role == "admin"

    @property
    def actor(self) -> audit.Actor:
        """Return who changes something here, for the audit log."""
        return actor(self.viewer)


class OutboxAccess(msgspec.Struct, frozen=True):
    """Which services' messages may be seen (``None``: all), by whom, and with which key if by key."""

    services: tuple[int, ...] | None
    viewer: Viewer | None
    key: str | None

    def address(self, path: str, **query: str) -> str:
        """Return a portal address that carries the key on."""
        everything = query | ({"key": self.key} if self.key else {})
        return f"{path}?{urlencode(everything)}" if everything else path


def actor(viewer: Viewer) -> audit.Actor:
    """Return a person as the audit log names them."""
    return audit.Actor("person", viewer.email)


def anyone(connection: ASGIConnection[Any, Any, Any, Any]) -> Viewer | None:
    """Return who is signed in, if anybody is; a page that refreshes itself does not keep them signed in."""
    known: Viewer | None = connection.state.get("viewer")
    value = connection.cookies.get(cookie_name())
    if known is None and value:
        touch = not OWN_REFRESH & connection.query_params.keys()
        known = connection.state["viewer"] = sessions.resume(db.current(), value, touch=touch)
    return known


def signed_in(request: Request[Any, Any, Any]) -> Viewer:
    """Return who is signed in.

    Raises:
        SignInNeededError: if nobody is.
    """
    return _viewer(request)


def _viewer(connection: ASGIConnection[Any, Any, Any, Any]) -> Viewer:
    viewer = anyone(connection)
    if viewer is None:
        raise SignInNeededError
    if viewer.lacks_factor and connection.url.path not in {SECOND_FACTOR, f"{SECOND_FACTOR}/on"}:
        raise SecondFactorNeededError
    return viewer


def workspace(request: Request[Any, Any, Any]) -> Workspace:
    """Return the service of the address, with the viewer's role in it; it becomes the one that they saw last.

    Raises:
        SignInNeededError: if nobody is signed in.
        NotFoundException: if there is no such service, or the viewer may not see it: both look the same.
    """
    found = _workspace(request)
    if request.method == "GET" and request.headers.get("hx-request") != "true":
        sessions.remember_service(db.current(), found.viewer, found.service_id)
    return found


def _workspace(connection: ASGIConnection[Any, Any, Any, Any]) -> Workspace:
    known: Workspace | None = connection.state.get("workspace")
    if known is None:
        known = connection.state["workspace"] = _find_workspace(
            _viewer(connection), connection.path_params["service_id"]
        )
    return known


def _find_workspace(viewer: Viewer, service_id: int) -> Workspace:
    member = next((member for member in viewer.memberships if member.service_id == service_id), None)
    if not viewer.platform_admin:
        if member is None:
            raise NotFoundException
        return Workspace(viewer, service_id, member.service_name, member.role)
    if member is not None:
        return Workspace(viewer, service_id, member.service_name, "admin")
    with db.current().read() as reading:
        service = services.service_by_id(reading, service_id)
    # What Carillon sends itself holds links that let people in.
    if service is None or (service.built_in and in_production()):
        raise NotFoundException
    return Workspace(viewer, service_id, service.name, "admin")


def editors(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard of what changes recipients, templates and the like: for editors and administrators of the service.

    Raises:
        RoleNeededError: for viewers.
    """
    if not _workspace(connection).may_edit:
        raise RoleNeededError("editors")


def unlocked(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard of what changes a template: its repository alone changes one that it has locked.

    Raises:
        Problem: ``template_locked``.
    """
    with db.current().read() as reading:
        service_id = _workspace(connection).service_id
        provenance.check_unlocked(reading, service_id, [connection.path_params["identifier"]])


def administrators(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard of what changes the team, the settings and the API clients: for administrators of the service.

    Raises:
        RoleNeededError: for viewers and editors.
    """
    if not _workspace(connection).may_administer:
        raise RoleNeededError("administrators")


def platform_administrators(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard of the pages over the whole installation.

    Raises:
        RoleNeededError: for everybody who is no platform administrator.
    """
    if not _viewer(connection).platform_admin:
        raise RoleNeededError("platform administrators")


def outbox(request: Request[Any, Any, Any]) -> OutboxAccess:
    """Return which outbox messages may be seen: by the key in the address first, else by who is signed in.

    Raises:
        SignInNeededError: if there is neither.
    """
    key = request.query_params.get("key")
    service_id = keys.opened_by(key) if key else None
    if service_id is not None:
        return OutboxAccess((service_id,), anyone(request), key)
    viewer = signed_in(request)
    return OutboxAccess(viewer.reach, viewer, None)
