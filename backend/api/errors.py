"""Problems in the REST entry point's words: ``application/problem+json`` (RFC 9457)."""

import logging
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec

from backend.accounts.faults import unavailable
from backend.api import bodies, parameters
from backend.db.models.notifications import NotificationStatus
from backend.lib import outages
from backend.lib.http import catalogue_url
from backend.lib.problems import MEDIA_TYPE, FieldError, Problem, ProblemDetails, details

logger = logging.getLogger(__name__)

_BY_STATUS = {
    400: "invalid_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "unsupported_media_type",
    429: "rate_limited",
    503: "unavailable",
}


def respond(
    problem: Problem, notification_id: str | None = None, notification_status: str = "FAILED"
) -> Response[bytes]:
    """Answer with a problem; secrets and input values are never part of it."""
    body = details(problem, catalogue_url(), notification_id, notification_status)
    return Response(
        msgspec.json.encode(body), status_code=problem.entry.status, media_type=MEDIA_TYPE, headers=problem.headers
    )


def on_problem(_request: Request[Any, Any, Any], problem: Problem) -> Response[bytes]:
    """Translate a package's problem."""
    return respond(problem)


def on_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Translate what the framework itself refuses: unknown addresses, methods, parameters, sizes."""
    code = _BY_STATUS.get(error.status_code, "internal_error" if error.status_code >= 500 else "invalid_request")
    if code == "internal_error":
        return on_unexpected(request, error)
    errors = _parameter_errors(request, error.extra)
    detail = _detail(request, code, error, errors)
    return respond(Problem(code, detail, errors=errors, headers=dict(error.headers or {})))


def _detail(request: Request[Any, Any, Any], code: str, error: HTTPException, errors: Sequence[FieldError]) -> str:
    match code:
        case "not_found":
            return f"There is nothing at {request.url.path}."
        case "method_not_allowed":
            return f"{request.url.path} does not answer {request.method}."
        case "too_large":
            return bodies.TOO_LARGE
        case _ if errors:
            return parameters.wrong(errors[0].pointer.removeprefix("/"), errors[0].detail)
        case _:
            return error.detail or "The request cannot be read."


def _parameter_errors(request: Request[Any, Any, Any], extra: object) -> list[FieldError]:
    """Take the framework's list of faulty parameters: ``[{"key", "message", …}]``."""
    if not isinstance(extra, list):
        return []
    declared = request.route_handler.parsed_fn_signature.parameters
    rows = [(str(row.get("key", "")), str(row.get("message", ""))) for row in extra if isinstance(row, dict)]
    errors = []
    for key, message in rows:
        hint = f" {parameters.PLUS}" if " " in request.query_params.get(key, "") else ""
        errors.append(FieldError(f"/{key}", "invalid_value", parameters.sentence(message, declared.get(key)) + hint))
    return errors


def on_unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer for a fault of ours, logged whole and told without its inside, or for a database that is away."""
    if outages.is_outage(error):
        logger.warning("%s %s could not be answered", request.method, request.url.path, exc_info=error)
        return respond(unavailable(error))
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return respond(Problem("internal_error", "Carillon failed to answer this request; the fault has been logged."))


class ProblemAnswer(ProblemDetails, frozen=True, kw_only=True):
    """A refusal in the form of RFC 9457, with the members that Carillon adds.

    ``status`` is the HTTP number; ``code`` and ``type`` name the entry of the error catalogue; ``errors`` say what is
    wrong where, and may be empty. ``notification_id`` and ``notification_status`` are there where a notification was
    refused that can be read back: ``FAILED``, or the status of the one accepted before where only its repeat was.
    """

    notification_status: NotificationStatus | None = None


def documented(*statuses: int) -> dict[int, ResponseSpec]:
    """Describe the problems that an address may answer, for the OpenAPI document."""
    return {
        status: ResponseSpec(
            data_container=ProblemAnswer,
            description=DESCRIPTIONS[status],
            media_type=MEDIA_TYPE,
            generate_examples=False,
        )
        for status in statuses
    }


DESCRIPTIONS = {
    400: "Malformed JSON, or a body or parameter that does not follow the schema",
    401: "No access token, or one that is not valid",
    403: "The access token lacks the scope",
    404: "Nothing here that this client may see",
    409: "In conflict with what is there",
    413: "The body is larger than 1 MiB beside the files of notifications, or these than 10 MiB",
    415: "The body is not JSON",
    422: "Well formed, but it cannot be carried out",
    429: "Too many requests, or the daily limit is reached",
    503: "Temporarily unavailable; nothing was stored",
}
