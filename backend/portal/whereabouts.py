"""Which page an address of the portal belongs to: the one to come back to after its form, or from a part of it."""

import re
from collections.abc import Mapping, Set
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Litestar, Request
from litestar.routes import HTTPRoute

from backend.portal.live import inside_its_page
from backend.portal.security import HOME, safe_address

# Addresses that pages ask by themselves carry one of these; a key lets in by itself and stays out of addresses.
OWN_REFRESH = frozenset({"latest", "live"})
_LEFT_OUT = OWN_REFRESH | {"key"}
_BEGINS_ONE = ("/new", "/import")


def page_of(app: Litestar, path: str) -> str:
    """Return the nearest address at or above ``path`` that is shown by GET; what makes something new is above it."""
    shown, parts = _shown(app)
    if path.endswith(_BEGINS_ONE):
        path = path.rpartition("/")[0]
    while path.startswith(f"{HOME}/") and (parts.fullmatch(path) or not shown.fullmatch(path)):
        path = path.rpartition("/")[0]
    return safe_address(path)


def page_above(app: Litestar, path: str) -> str:
    """Return the page of which ``path`` is a part that is asked for by itself."""
    return page_of(app, path.rpartition("/")[0])


def page_asked_from(request: Request[Any, Any, Any]) -> str:
    """Return the page that a request came from, with its query: what its part or its form belongs to."""
    told = request.headers.get("hx-current-url") or request.headers.get("referer") or ""
    try:
        split = urlsplit(told)
    except ValueError:
        return page_of(request.app, request.url.path)
    if split.netloc != request.headers.get("host", "") or not split.path.startswith(HOME):
        return page_of(request.app, request.url.path)
    return safe_address(with_query(split.path, dict(parse_qsl(split.query))))


def with_query(path: str, query: Mapping[str, str], without: Set[str] = _LEFT_OUT) -> str:
    """Return an address to come back to: without what a part asks for by itself, and without a key."""
    kept = {name: value for name, value in query.items() if name not in without}
    return path + (f"?{urlencode(kept)}" if kept else "")


@lru_cache(maxsize=4)
def _shown(app: Litestar) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the form of all addresses that are shown by GET, and of those that are parts of pages."""
    found = [route for route in app.routes if isinstance(route, HTTPRoute) and "GET" in route.route_handler_map]
    parts = [route for route in found if inside_its_page in (route.route_handler_map["GET"][0].guards or ())]
    return _form(found), _form(parts)


def _form(routes: list[HTTPRoute]) -> re.Pattern[str]:
    return re.compile("|".join(re.sub(r"\\\{[^/]+\\\}", "[^/]+", re.escape(route.path)) for route in routes))
