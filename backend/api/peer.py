"""Who a connection is from: the machine at its other end, and the client for whom a trusted proxy says that it asks."""

import os
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

_PEER = "carillon.peer"


class SeenThroughProxies:
    """An application that is told the client's address by proxies which ``FORWARDED_ALLOW_IPS`` names.

    The server would do the same, and forget whose connection it is: what a gateway says is believed by that alone.
    """

    def __init__(self, app: ASGIApp) -> None:
        trusted = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
        self._app: Any = ProxyHeadersMiddleware(app, trusted_hosts=trusted)  # type: ignore[arg-type] # ASGI's types

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] == ScopeType.HTTP:
            scope[_PEER] = _host(scope)  # type: ignore[literal-required] # ASGI lets servers add their own
        await self._app(scope, receive, send)


def of(scope: Scope) -> str | None:
    """Return the network address of the machine at the other end of the connection, a proxy's if there is one."""
    found: str | None = scope.get(_PEER)  # type: ignore[assignment]
    return found or _host(scope)


def _host(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None
