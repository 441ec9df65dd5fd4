"""Paths as they were written: the framework would take ``//path`` and ``/%2Fpath`` for ``/path``, which they are not.

A proxy that guards ``/metrics``, say, does not know its other spellings.
"""

from urllib.parse import unquote

from litestar.exceptions import NotFoundException
from litestar.types import ASGIApp, Receive, Scope, Send


def only_whole(app: ASGIApp) -> ASGIApp:
    """Answer that nothing is there where a part of the path is empty: a middleware of the application."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope["raw_path"]
        if b"//" in raw or (b"%" in raw and "//" in unquote(raw.decode("latin-1"))):
            raise NotFoundException
        await app(scope, receive, send)

    return answer
