"""Faults as pages: what happened, why, and what to do; everything outside the pages keeps its own answer."""

import logging
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException

from backend.lib import outages
from backend.lib.problems import Problem
from backend.portal.access import RoleNeededError
from backend.portal.pages import page
from backend.portal.security import harden

logger = logging.getLogger(__name__)

Handler = Callable[[Request[Any, Any, Any], Any], Response[Any]]


class Fault(NamedTuple):
    """One error page's words."""

    status: int
    title: str
    reason: str
    remedy: str


_FAULTS = {
    400: Fault(
        400,
        "This address cannot be read",
        "A part of the address or of the form is not in the form that the page expects.",
        "Go back to the page you came from and follow its link or form again.",
    ),
    403: Fault(
        403,
        "The form was not accepted",
        "The form could not be matched with your browser: it was open for too long, cookies are switched off, or it "
        "came from a page of another site.",
        "Go back, reload the page, and send the form again.",
    ),
    404: Fault(
        404,
        "Page not found",
        "There is nothing at this address that you may see. A message may have been removed at the end of its keeping "
        "time, or belong to a service that you are not a member of.",
        "Check the address, or start from the portal’s home page.",
    ),
    405: Fault(
        405,
        "This address does not work that way",
        "The page exists but does not take this kind of request.",
        "Start from the portal's home page and follow its links.",
    ),
    413: Fault(
        413,
        "The form is too large",
        "The form holds more than 1 MiB.",
        "Go back and send less at once.",
    ),
    500: Fault(
        500,
        "Carillon failed to show this page",
        "Something on our side went wrong. The fault has been logged with its time and address.",
        "Try again in a moment; if it fails again, tell the people who run this installation.",
    ),
}


_ROLES = {
    "editors": "editors and administrators of this service",
    "administrators": "administrators of this service",
    "platform administrators": "platform administrators",
}


def by_entry_point(handlers: Mapping[Any, Handler]) -> dict[Any, Handler]:
    """Wrap the application's exception handlers: pages get pages, every other address gets the handler's answer."""
    return {fault: _page_or(handler) for fault, handler in handlers.items()}


def _page_or(handler: Handler) -> Handler:
    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
        return answer(request, error) if is_page(request) else handler(request, error)

    return handle


def is_page(request: Request[Any, Any, Any]) -> bool:
    """Tell whether a person in a browser looks at this address."""
    path = request.url.path
    if path == "/portal" or path.startswith(("/portal/", "/files/")):
        return True
    if "text/html" not in request.headers.get("accept", ""):
        return False
    return path.startswith("/docs") or (request.method == "GET" and _leads_nowhere(request.app, path))


def _leads_nowhere(app: Litestar, path: str) -> bool:
    """Tell whether an address is below none of the entry points of the APIs: a person has mistyped it."""
    return path.split("/")[1] not in _entry_points(app)


@lru_cache(maxsize=4)
def _entry_points(app: Litestar) -> frozenset[str]:
    return frozenset(route.path.split("/")[1] for route in app.routes)


def answer(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Answer with an error page; the inside of a fault of ours goes to the log alone."""
    fault = _fault(error)
    if outages.is_outage(error):
        logger.warning("%s %s could not be shown", request.method, request.url.path, exc_info=error)
    elif fault.status >= 500:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    headers = dict(error.headers or {}) if isinstance(error, HTTPException | Problem) else {}
    viewer, workspace = request.state.get("viewer"), request.state.get("workspace")
    template = "errors/inside.html" if viewer else "errors/show.html"
    response = page(template, viewer, workspace=workspace, status_code=fault.status, fault=fault)
    response.headers.update(headers)
    return harden(response)


def _fault(error: Exception) -> Fault:
    if isinstance(error, RoleNeededError):
        return _role_needed(error.needed)
    if isinstance(error, Problem):
        entry = error.entry
        return Fault(entry.status, entry.title, error.detail, entry.remedy)
    if isinstance(error, HTTPException) and error.status_code < 500:
        return _FAULTS.get(error.status_code, _FAULTS[400]._replace(status=error.status_code))
    if outages.is_outage(error):
        return _outage(error)
    if isinstance(error, UnicodeDecodeError):  # a form with a file is decoded before any handler sees it
        return _FAULTS[400]
    return _FAULTS[500]


def _outage(error: Exception) -> Fault:
    return Fault(
        503,
        "Carillon cannot do this just now",
        f"Its storage cannot be used at the moment: {outages.reason(error)}. Nothing was kept of what you sent, and "
        "no accepted message is lost.",
        "Try again in a minute. If it stays like this, tell the people who run this installation.",
    )


def _role_needed(needed: str) -> Fault:
    return Fault(
        403,
        "This is not for your role",
        f"Only {_ROLES[needed]} may do this. Nothing was changed.",
        "Ask one of them to do it, or to give you another role.",
    )
