"""The alpha's errors: JSON with ``error``, and ``error_details`` where single fields are at fault."""

import logging
from collections.abc import Callable
from typing import Any, NoReturn

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from backend.accounts.faults import unavailable
from backend.lib import inputs, outages
from backend.lib.problems import Problem

logger = logging.getLogger(__name__)

# The first parts of the alpha's paths.
WORDS = frozenset({"sms", "email", "notification", "notifications", "job", "service", "user", "users", "organisation"})
# What else begins with one of them.
_OTHERS = "/notifications/v1"

Handler = Callable[[Request[Any, Any, Any], HTTPException], Response[Any]]


class AlphaFault(Exception):
    """An answer that refuses; ``body`` is its JSON."""

    def __init__(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body
        self.headers = headers or {}


def refuse(status: int, error: str, headers: dict[str, str] | None = None) -> NoReturn:
    """Answer with one sentence.

    Raises:
        AlphaFault: always.
    """
    raise AlphaFault(status, {"error": error}, headers)


def row_id(number: int) -> int:
    """Return a number that a row can have.

    Raises:
        AlphaFault: 404 for one that none can have.
    """
    if not inputs.is_row(number):
        refuse(404, "Not found")
    return number


def is_alpha(path: str) -> bool:
    """Tell whether a path is one of the alpha's, or would be if it existed."""
    first = path.removeprefix("/").partition("/")[0]
    return first in WORDS and path != _OTHERS and not path.startswith(f"{_OTHERS}/")


def by_entry_point(handler: Handler) -> Handler:
    """Wrap the application's own answer to what the framework refuses.

    The alpha's paths get the alpha's answer. A path that nothing is at may be anybody's mistake: its answer gets the
    alpha's ``error`` in addition to the members of a problem.
    """

    def handle(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
        if is_alpha(request.url.path):
            return on_http_exception(request, error)
        response = handler(request, error)
        if error.status_code == 404 and isinstance(response.content, bytes):
            body = {**msgspec.json.decode(response.content), "error": "Not found"}
            return Response(msgspec.json.encode(body), status_code=404, media_type=response.media_type)
        return response

    return handle


def on_fault(_request: Request[Any, Any, Any], fault: AlphaFault) -> Response[dict[str, Any]]:
    """Answer a refusal."""
    return _answer(fault.status, fault.body, fault.headers)


def on_problem(_request: Request[Any, Any, Any], problem: Problem) -> Response[dict[str, Any]]:
    """Tell a package's problem in the alpha's shape."""
    return _answer(problem.entry.status, {"error": problem.detail}, problem.headers)


def on_http_exception(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    """Tell what the framework refuses: unknown paths, methods, sizes."""
    words = {404: "Not found", 405: "Method not allowed", 413: "The body is larger than 1 MiB"}
    sentence = words.get(error.status_code, error.detail or "Bad request")
    return _answer(error.status_code, {"error": sentence}, dict(error.headers or {}))


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    """Tell of a fault of ours, whose inside goes to the log, or of a database that is away."""
    if outages.is_outage(error):
        logger.warning("%s %s could not be answered", request.method, request.url.path, exc_info=error)
        return on_problem(request, unavailable(error))
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return _answer(500, {"error": "Internal error"}, {})


def _answer(status: int, body: dict[str, Any], headers: dict[str, str]) -> Response[dict[str, Any]]:
    return Response(body, status_code=status, headers=headers, media_type="application/json")
