"""Paths as they were written: the framework would take ``//path`` and ``/%2Fpath`` for ``/path``, which they are not.

A proxy that guards ``/metrics``, say, does not know its other spellings. And it would part a path at ``%2F``, which
stands for a slash within one part: so the parts that are any text stay as they were written.
"""

import re
from urllib.parse import unquote

from litestar.exceptions import NotFoundException
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

# Below them stands an aggregator_id or a matter, which may be any text; their handlers read the escapes.
_OF_TEXT = ("/notifications/v1/aggregators/", "/notifications/v1/matters/")
# The alpha's ids at the same address are whole numbers.
_SHORT = re.compile(r"/notification/([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})")


def restore(scope: HTTPScope) -> None:
    """Leave a path that holds any text with its escapes, and take a short address for the long one."""
    path = scope["path"]
    if _has_text(path):
        scope["path"] = _raw(scope).decode("latin-1")
    elif short := _SHORT.fullmatch(path):
        scope["path"] = f"/notifications/v1/{short[1]}"


def _raw(scope: Scope) -> bytes:
    # Some servers leave the query in.
    return scope["raw_path"].partition(b"?")[0]


def _has_text(path: str) -> bool:
    return path.startswith(_OF_TEXT)


def only_whole(app: ASGIApp) -> ASGIApp:
    """Answer that nothing is there where a part of the path is empty: a middleware of the application."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        raw = _raw(scope)
        if b"//" in raw or (b"%" in raw and "//" in unquote(raw.decode("latin-1")) and not _has_text(scope["path"])):
            raise NotFoundException
        await app(scope, receive, send)

    return answer
