"""What every answer carries for browsers' sake, whichever entry point it comes from: also errors, files and data.

Pages and messages set a policy of their own. Anything else may do nothing if a browser is led to show it, stands in no
frame, and is kept by nobody unless it says for how long it may be. An answer about methods names all of its address.
"""

from functools import lru_cache

from litestar import Litestar
from litestar.routes import HTTPRoute
from litestar.types import HTTPResponseStartEvent, Message, Scope

from backend.lib import settings
from backend.lib.http import security_headers

_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


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
