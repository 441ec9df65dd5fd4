"""One line in the log for each request, and the id by which it can be found again."""

import logging
import time
from typing import cast

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import HTTPScope, LifeSpanReceive, LifeSpanScope, LifeSpanSend, Message, Receive, Scope, Send

from backend.accounts.access import Principal
from backend.lib import correlation, logs, traces

lines = logs.Gathered(logging.getLogger(__name__), "request")

_NOTIFICATION = "logged_notification_id"
# Asked every few seconds by machines, or by every page: of interest when they fail.
_OFTEN = ("/healthz", "/readyz", "/metrics", "/static/")
# A part of a path that is longer is no id of ours, which have 36 characters, but may be a secret.
_LONGEST_PART = 40
_MOST_PARTS = 12


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
        identity = correlation.choose(*_given(http))
        header = (b"x-request-id", identity.encode())

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], header]
            await pass_on(message)

        token = correlation.request_id.set(identity)
        try:
            answering = self._traced if traces.enabled() else self.serve
            await answering(http, cast("Receive", receive), answer)
        finally:
            _log(http, status, time.perf_counter() - began)
            correlation.request_id.reset(token)

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
            span.set_attribute("carillon.request_id", correlation.request_id.get() or "")
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
