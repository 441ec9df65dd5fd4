"""The documentation: the OpenAPI document, its page, the error catalogue, and the handbook."""

from functools import lru_cache
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, Router, get
from litestar.response import Template
from litestar.types import ControllerRouterHandler

from backend.api import docs_reference, handbook, openapi, still_pages
from backend.api.still_pages import StillPage
from backend.lib import settings
from backend.lib.catalogue import CATALOGUE
from backend.lib.http import security_headers
from backend.lib.settings import Settings

# The pages talk to our own host alone.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


def _wants_page(request: Request[Any, Any, Any]) -> bool:
    return "text/html" in request.headers.get("accept", "")


@get("/", sync_to_thread=True)
def show(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show the API's documentation: the OpenAPI document for people to read, without a script."""
    return still_pages.answer(request, _reference(request.app, settings.current(), "docs/index.html"))


@get("/models", sync_to_thread=True)
def models(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Show the models that the operations take and answer."""
    return still_pages.answer(request, _reference(request.app, settings.current(), "docs/models.html"))


@lru_cache(maxsize=2)
def _reference(app: Litestar, _configuration: Settings, name: str) -> StillPage:
    """Write a page once: anybody may ask for it."""
    return still_pages.write(app, name, reference=docs_reference.reference(openapi.create_document(app)))


@get("/openapi.json", sync_to_thread=True)
def document(request: Request[Any, Any, Any]) -> Response[bytes]:
    """Return the OpenAPI document."""
    written = _written(request.app, settings.current())
    return Response(written, media_type=MediaType.JSON, headers={"Cache-Control": "no-cache"})


@lru_cache(maxsize=1)
def _written(app: Litestar, _configuration: Settings) -> bytes:
    """Write the document once: anybody may ask for it."""
    return msgspec.json.encode(openapi.create_document(app))


@get("/errors", sync_to_thread=False)
def errors(request: Request[Any, Any, Any]) -> Response[Any]:
    """Show the error catalogue; ``Accept: application/json`` asks for its data."""
    accept = request.headers.get("accept", "")
    if "application/json" in accept and not _wants_page(request):
        return Response({"errors": list(CATALOGUE.values())}, headers={"Vary": "Accept"})
    return Template(
        "docs/errors.html",
        context={"entries": CATALOGUE.values()},
        headers={"Vary": "Accept"},
        media_type=MediaType.HTML,
    )


def _harden(response: Response[Any]) -> Response[Any]:
    for name, value in security_headers(_POLICY).items():
        response.headers.setdefault(name, value)
    return response


_DOCS = Router(
    "/docs",
    route_handlers=[show, models, document, errors, *handbook.HANDLERS],
    after_request=_harden,
    include_in_schema=False,
)

ROUTES: list[ControllerRouterHandler] = [_DOCS]
