"""What stands before a guarded address: the access token, its scope, and the client's rate limit."""

from typing import Any

from anyio import to_thread
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from backend.accounts import access
from backend.accounts.access import Principal


async def bearer(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request pass whose access token has the scope of ``handler.opt["scope"]``, within its rate limit."""
    header, scope = connection.headers.get("authorization"), handler.opt["scope"]
    found = access.recognised(header, scope)
    if found is None:
        found = await to_thread.run_sync(access.authenticate, header, scope)
    connection.scope["auth"] = found


def principal(request: Request[Any, Any, Any]) -> Principal:
    """Return whom the guard has let pass."""
    found = request.scope["auth"]
    if not isinstance(found, Principal):
        raise TypeError("This address is not guarded by backend.api.guards.bearer.")
    return found
