"""Parts of pages that ask for themselves again: they send along what they show, and nothing comes while it is true."""

import hashlib
from typing import Any

import msgspec
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler


class PartAloneError(Exception):
    """A part of a page was opened as if it were a page."""


def inside_its_page(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard of parts: whoever goes to one (Fetch Metadata: ``Sec-Fetch-Mode: navigate``) is led to its page.

    Raises:
        PartAloneError: for a browser that goes there, as after following an address that was kept.
    """
    if connection.headers.get("sec-fetch-mode") == "navigate":
        raise PartAloneError


def mark(*shown: Any) -> str:
    """Return a short digest of what a part shows; the part sends it back as ``latest``."""
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()[:20]
