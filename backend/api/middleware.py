"""What stands around every handler: who a request is from, what is refused before, what answers carry, the log."""

import logging
import os
import re
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, cast

from litestar import Litestar
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler
from litestar.routes import HTTPRoute
from litestar.types import (
    ASGIApp,
    HTTPResponseStartEvent,
    HTTPScope,
    LifeSpanReceive,
    LifeSpanScope,
    LifeSpanSend,
    Message,
    Receive,
    Scope,
    Send,
)
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from backend.accounts.access import Principal
from backend.lib import inputs, logs, settings, traces
from backend.lib.http import security_headers
from backend.lib.problems import FieldError, Problem

_PEER = "carillon.peer"
# RFC 9112, section 3.2, and RFC 3986, section 3.2.2: a name or a numeric address, and a port of at most five digits.
_HOST = re.compile(rb"(?:[A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::(\d{0,5}))?")
_LAST_PORT = 65535
_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
lines = logs.Gathered(logging.getLogger(__name__), "request")
_NOTIFICATION = "logged_notification_id"
# Asked every few seconds by machines, or by every page: of interest when they fail.
_OFTEN = ("/healthz", "/readyz", "/metrics", "/static/")
# A part of a path that is longer is no id of ours, which have 36 characters, but may be a secret.
_LONGEST_PART = 40
_MOST_PARTS = 12


# Who a connection is from: the machine at its other end, and the client for whom a trusted proxy says that it asks.


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


# What is asked of every request before any handler sees it: a Host that is one, and values that can be kept.
#
# Handlers read single values with ``backend.lib.inputs``, each kind by its own function. Here stands what holds for all
# of them, at every address there is, new ones too.


def host_fault(scope: HTTPScope) -> Problem | None:
    """Say why a request does not tell one host that it is for (RFC 9112, section 3.2); None if it does."""
    given = [value for name, value in scope["headers"] if name == b"host"]
    if not given:
        is_old = scope["http_version"] == "1.0"
        return None if is_old else _bad_host("The header Host is missing, which every request of HTTP/1.1 has.")
    if len(given) > 1:
        return _bad_host("The header Host stands there more than once, so it is not clear whom the request is for.")
    found = _HOST.fullmatch(given[0])
    if found is None or int(found[1] or 0) > _LAST_PORT:
        return _bad_host("The header Host holds no host name with an optional port.")
    return None


def _bad_host(detail: str) -> Problem:
    return Problem("invalid_request", detail)


def check_address(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Refuse an address whose path or query no row can have and no text can hold: a guard of the whole application.

    Raises:
        NotFoundException: for a number that is no row's.
        Problem: ``invalid_request`` for text that cannot be kept.
    """
    for value in connection.path_params.values():
        if isinstance(value, int) and not inputs.is_row(value):
            raise NotFoundException
    if faults := list(_faults(connection)):
        errors = [FieldError(f"/{name}", "invalid_value", fault) for name, fault in faults if name]
        raise Problem("invalid_request", f"The address cannot be used: {faults[0][1]}", errors=errors)


def _faults(connection: ASGIConnection[Any, Any, Any, Any]) -> Iterator[tuple[str, str]]:
    """Yield the name of each faulty parameter, empty for a part of the path, with what is wrong with its value."""
    for value in connection.path_params.values():
        if isinstance(value, str) and (fault := inputs.text_fault(value)):
            yield "", fault
    if b"%" in connection.scope["query_string"]:  # a text that cannot be kept is never written as it is
        for name, value in connection.query_params.multi_items():
            if fault := inputs.text_fault(value):
                yield name, fault


# What every answer carries for browsers' sake, whichever entry point it comes from: also errors, files and data.
#
# Pages and messages set a policy of their own. Anything else may do nothing if a browser is led to show it, stands in
# no frame, and is kept by nobody unless it says for how long it may be. An answer about methods names all of its
# address.


async def secure(message: Message, scope: Scope) -> None:
    """Add what the answer has not set itself: a ``before_send`` hook of the application."""
    if message["type"] == "http.response.start":
        complete(message)
        if message["status"] == 405 or scope.get("method") == "OPTIONS":
            _name_methods(message, scope)


def complete(start: HTTPResponseStartEvent) -> None:
    """Add what the answer has not set itself."""
    own = {name.lower() for name, _ in start["headers"]}
    common = _common(settings.current())
    start["headers"] = [*start["headers"], *(header for header in common if header[0] not in own)]


def _name_methods(start: HTTPResponseStartEvent, scope: Scope) -> None:
    """Name every method of the address, of which the framework leaves some out.

    Its answer to OPTIONS knows those of the handler that was registered first; HEAD is answered wherever GET is.
    """
    given = next((value.decode() for name, value in start["headers"] if name.lower() == b"allow"), None)
    if given is None:
        return
    methods = {method.strip() for method in given.split(",")}
    if scope.get("method") == "OPTIONS":
        methods |= _methods(scope["litestar_app"], scope["path_template"])
    if "GET" in methods:
        methods.add("HEAD")
    others = [header for header in start["headers"] if header[0].lower() != b"allow"]
    start["headers"] = [*others, (b"allow", ", ".join(sorted(methods)).encode())]


def _methods(app: Litestar, path_template: str) -> set[str]:
    return {
        method
        for route in app.routes
        if isinstance(route, HTTPRoute) and route.path_format == path_template
        for method in route.methods
    }


@lru_cache(maxsize=1)
def _common(_configuration: settings.Settings) -> tuple[tuple[bytes, bytes], ...]:
    headers = {**security_headers(_DATA_POLICY), "Cache-Control": "no-store"}
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())


# One line in the log for each request, and the id by which it can be found again.


class LoggedLitestar(Litestar):
    """The framework's application; it answers each request with its ``X-Request-ID`` and logs it when it is done.

    A line says method, path without query, status, milliseconds, the API client, and the notification that was sent.
    """

    async def __call__(
        self, scope: Scope | LifeSpanScope, receive: Receive | LifeSpanReceive, send: Send | LifeSpanSend
    ) -> None:
        """Answer one connection (ASGI)."""
        if scope["type"] != ScopeType.HTTP:
            await Litestar.__call__(self, scope, receive, send)
            return
        http, pass_on = cast("HTTPScope", scope), cast("Send", send)
        if http["method"] == "HEAD":
            # Answered as GET is (RFC 9110, section 9.3.2); the server leaves the body out.
            http = cast("HTTPScope", {**http, "method": "GET"})
        began, status = time.perf_counter(), 500
        identity = logs.choose(*_given(http))
        header = (b"x-request-id", identity.encode())

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], header]
            await pass_on(message)

        token = logs.request_id.set(identity)
        try:
            answering = self._traced if traces.enabled() else self.serve
            await answering(http, cast("Receive", receive), answer)
        finally:
            _log(http, status, time.perf_counter() - began)
            logs.request_id.reset(token)

    async def _traced(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request, as a span of the trace that its caller names, or of a new one."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with traces.request(scope["method"], headers) as span:

            async def answer(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            span.set_attribute("http.request.method", scope["method"])
            span.set_attribute("url.path", _harmless(scope["path"]))
            span.set_attribute("carillon.request_id", logs.request_id.get() or "")
            await self.serve(scope, receive, answer)

    async def serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one request, the framework's way."""
        await Litestar.__call__(self, scope, receive, send)


def about(scope: Scope, notification_id: str | None) -> None:
    """Name the notification that a request has sent, so that its line leads on to the lines of its deliveries."""
    scope["state"][_NOTIFICATION] = notification_id


def _given(scope: HTTPScope) -> tuple[bytes | None, bytes | None]:
    given: bytes | None = None
    traceparent: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = value
        elif name == b"traceparent":
            traceparent = value
    return given, traceparent


def _log(scope: HTTPScope, status: int, seconds: float) -> None:
    path = scope["path"]
    if status < 500 and path.startswith(_OFTEN):
        return
    fields: dict[str, logs.Value] = {
        "method": scope["method"],
        "path": _harmless(path),
        "status": status,
        "ms": int(seconds * 100_000) / 100,
    }
    principal = scope.get("auth")
    if isinstance(principal, Principal):
        fields["client_id"] = principal.client_id
    if (notification := scope["state"].get(_NOTIFICATION)) is not None:
        fields["notification"] = notification
    lines.add(fields)


def _harmless(path: str) -> str:
    """Write a path without the persons and secrets that may be in it."""
    if len(path) <= _LONGEST_PART and "@" not in path:
        return path
    parts = path.split("/", _MOST_PARTS)[:_MOST_PARTS]
    return "/".join(logs.masked(part) if len(part) <= _LONGEST_PART else "…" for part in parts)
