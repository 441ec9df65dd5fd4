"""Who may see a page: people who are signed in, and holders of a capability key for one service's outbox."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response
from litestar.response import Redirect
from litestar_htmx import ClientRedirect

from backend.accounts import sessions
from backend.accounts.sessions import Viewer
from backend.db import session
from backend.portal import keys
from backend.portal.security import cookie_name, harden

SIGN_IN = "/portal/sign-in"


class SignInNeededError(Exception):
    """The page is for people who are signed in, and nobody is."""


class OutboxAccess(msgspec.Struct, frozen=True):
    """Which services' messages may be seen (``None``: all), by whom, and with which key if by key."""

    services: tuple[int, ...] | None
    viewer: Viewer | None
    key: str | None

    def address(self, path: str, **query: str) -> str:
        """Return a portal address that carries the key on."""
        everything = query | ({"key": self.key} if self.key else {})
        return f"{path}?{urlencode(everything)}" if everything else path


def anyone(request: Request[Any, Any, Any]) -> Viewer | None:
    """Return who is signed in, if anybody is; a page that refreshes itself does not keep them signed in."""
    value = request.cookies.get(cookie_name())
    return sessions.resume(session.current(), value, touch=not _is_poll(request)) if value else None


def signed_in(request: Request[Any, Any, Any]) -> Viewer:
    """Return who is signed in.

    Raises:
        SignInNeededError: if nobody is.
    """
    viewer = anyone(request)
    if viewer is None:
        raise SignInNeededError
    return viewer


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


def _is_poll(request: Request[Any, Any, Any]) -> bool:
    return "latest" in request.query_params


def on_sign_in_needed(request: Request[Any, Any, Any], _error: Exception) -> Response[Any]:
    """Send a browser to the sign-in page, from which it comes back; a page's own refresh takes the page along."""
    kept: Mapping[str, str] = {
        name: value for name, value in request.query_params.items() if name not in {"key", "latest"}
    }
    back = request.url.path + (f"?{urlencode(kept)}" if kept else "")
    address = f"{SIGN_IN}?{urlencode({'next': back})}" if request.method == "GET" and back != "/portal" else SIGN_IN
    if request.headers.get("hx-request") == "true":
        return harden(ClientRedirect(redirect_to=address))
    return harden(Redirect(address, status_code=303))
