"""Static bearer tokens: ``client`` for sending and reading, ``admin`` for everything."""

from typing import Any

import msgspec
from anyio import to_thread
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from backend.accounts import service_tokens
from backend.accounts.audit import Actor
from backend.accounts.faults import unavailable_without_database
from backend.alpha.faults import AlphaFault
from backend.db import database as db

_UNAUTHORIZED = {"error": "Unauthorized, bearer token must be provided"}
_FORBIDDEN = {"error": "Forbidden, invalid bearer token provided"}


class Caller(msgspec.Struct, frozen=True):
    """Whose token came with a request."""

    token_id: int
    service_id: int
    is_admin: bool

    @property
    def reach(self) -> int | None:
        """Return the service that the caller is confined to; None for an administrator."""
        return None if self.is_admin else self.service_id

    @property
    def actor(self) -> Actor:
        """Name the caller for the audit log."""
        return Actor("client", f"alpha token {self.token_id}")


async def client(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard: let either type of token pass."""
    await _pass(connection, admin=False)


async def admin(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard: let ``admin`` tokens pass."""
    await _pass(connection, admin=True)


async def client_or_browser(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard: let either type of token pass, and a person's browser, which has none."""
    if not is_browser(connection):
        await _pass(connection, admin=False)


def is_browser(connection: ASGIConnection[Any, Any, Any, Any]) -> bool:
    """Tell whether a page is asked for."""
    return "text/html" in connection.headers.get("accept", "")


def caller(request: Request[Any, Any, Any]) -> Caller:
    """Return whom the guard has let pass."""
    found = request.scope["auth"]
    if not isinstance(found, Caller):
        raise TypeError("This address is not guarded by backend.alpha.tokens.")
    return found


async def _pass(connection: ASGIConnection[Any, Any, Any, Any], *, admin: bool) -> None:
    if connection.scope.get("method") == "OPTIONS":
        return  # answered by the framework, with nothing but the methods of the address
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise AlphaFault(401, _UNAUTHORIZED, {"WWW-Authenticate": "Bearer"})
    found = await to_thread.run_sync(_find, token)
    if found is None or (admin and not found.is_admin):
        raise AlphaFault(403, _FORBIDDEN)
    connection.scope["auth"] = found


def _find(token: str) -> Caller | None:
    with unavailable_without_database(), db.current().read() as session:
        row = service_tokens.find(session, token)
        return Caller(row.id, row.service_id, row.type == "admin") if row else None
