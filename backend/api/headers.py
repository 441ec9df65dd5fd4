"""What every answer carries for browsers' sake, whichever door it comes from: also errors, files and data.

Pages and messages set a policy of their own. Anything else may do nothing if a browser is led to show it, stands in no
frame, and is kept by nobody unless it says for how long it may be.
"""

from functools import lru_cache

from litestar.types import HTTPResponseStartEvent, Message, Scope

from backend.lib import settings
from backend.lib.http import security_headers

_DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


async def secure(message: Message, _scope: Scope) -> None:
    """Add what the answer has not set itself: a ``before_send`` hook of the application."""
    if message["type"] == "http.response.start":
        complete(message)


def complete(start: HTTPResponseStartEvent) -> None:
    """Add what the answer has not set itself."""
    own = {name.lower() for name, _ in start["headers"]}
    common = _common(settings.current())
    start["headers"] = [*start["headers"], *(header for header in common if header[0] not in own)]


@lru_cache(maxsize=1)
def _common(_configuration: settings.Settings) -> tuple[tuple[bytes, bytes], ...]:
    headers = {**security_headers(_DATA_POLICY), "Cache-Control": "no-store"}
    return tuple((name.lower().encode(), value.encode()) for name, value in headers.items())
