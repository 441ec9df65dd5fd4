"""What many operations of the OpenAPI document share: the answers that refuse, their headers, and what is asked for."""

from collections.abc import Iterator
from typing import Any

import msgspec

from backend.api import openapi_schemas as schemas
from backend.api.errors import DESCRIPTIONS, ProblemAnswer
from backend.api.openapi_examples import example
from backend.lib.http import catalogue_url
from backend.lib.problems import MEDIA_TYPE, FieldError, Problem, details

Part = dict[str, Any]

# The name of each answer, and what it says for example; 422 has an example of its own.
_REFUSALS = {
    400: (
        "BadRequest",
        Problem(
            "invalid_request",
            "The request does not follow the schema: at /priority: Must be one of 'NORMAL', 'HIGH' or 'BATCH'.",
            errors=[FieldError("/priority", "invalid_value", "Must be one of 'NORMAL', 'HIGH' or 'BATCH'.")],
        ),
    ),
    401: ("Unauthenticated", Problem("invalid_token", "The access token has expired.")),
    403: ("Forbidden", Problem("insufficient_scope", "The access token lacks the scope notifications:send.")),
    404: ("NotFound", Problem("not_found", "This service has no notification of this id.")),
    409: ("Conflict", Problem("identifier_taken", "The identifier LAB_STAKEHOLDERS belongs to another service.")),
    413: ("TooLarge", Problem("too_large", "The body is larger than 1 MiB (1,048,576 bytes).")),
    415: (
        "UnsupportedMediaType",
        Problem("unsupported_media_type", "The body must be sent as Content-Type: application/json, not 'text/plain'."),
    ),
    422: ("Unprocessable", None),
    429: (
        "TooManyRequests",
        Problem(
            "rate_limited", "This API client may send 600 requests in 60 seconds; the next may come in 42 seconds."
        ),
    ),
    503: ("Unavailable", Problem("unavailable", "The database does not answer just now.")),
}
_OTHER = ("Other", Problem("internal_error", "Carillon failed to answer this request; the fault has been logged."))
_OTHERWISE = "The request was refused; `type` leads to the entry of the error catalogue"
_LIMITED = ("RateLimit", "RateLimit-Policy")
_CHALLENGED = frozenset({401, 403})

_HEADERS: Part = {
    "RateLimit": {
        "description": "What is left of the client's requests: `r` of them, and `t` seconds to the next window.",
        "schema": {"type": "string"},
        "example": '"default";r=599;t=42',
    },
    "RateLimit-Policy": {
        "description": "The client's limit: `q` requests in `w` seconds (draft-ietf-httpapi-ratelimit-headers).",
        "schema": {"type": "string"},
        "example": '"default";q=600;w=60',
    },
    "Retry-After": {
        "description": "How many seconds to wait before the request is sent again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 5,
    },
    "WWW-Authenticate": {
        "description": "What access token is asked for, and what was wrong with the one given (RFC 6750).",
        "schema": {"type": "string"},
        "example": 'Bearer realm="Carillon", error="invalid_token"',
    },
}
IDEMPOTENCY_KEY = "IdempotencyKey"
_PARAMETERS: Part = {
    IDEMPOTENCY_KEY: {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": (
            "Says what is the same, in place of the content: the same key and content are answered as before, the "
            "same key with other content is refused with 422. 1 to 255 printable ASCII characters, with or without "
            "quotation marks."
        ),
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    },
}


def components() -> Part:
    """Return the shared parts, each kind under its name."""
    responses = {name: _response(status, DESCRIPTIONS[status], said) for status, (name, said) in _REFUSALS.items()}
    name, said = _OTHER
    return {
        "headers": _HEADERS,
        "parameters": _PARAMETERS,
        "responses": {**responses, name: _response(0, _OTHERWISE, said)},
    }


def refusal(status: str) -> Part:
    """Return the reference to the answer that refuses with a status, or with any that is not named."""
    name, _ = _REFUSALS[int(status)] if status.isdigit() else _OTHER
    return {"$ref": f"#/components/responses/{name}"}


def parameter(name: str) -> Part:
    """Return the reference to a shared parameter."""
    return {"$ref": f"#/components/parameters/{name}"}


def headers(*names: str) -> Part:
    """Return the references to headers by their names; of none, those of the rate limit."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names or _LIMITED}


def _response(status: int, description: str, said: Problem | None) -> Part:
    own = schemas.name(ProblemAnswer)
    shown = msgspec.to_builtins(details(said, catalogue_url())) if said else example(own, str(status))
    content = {MEDIA_TYPE: {"schema": schemas.reference(ProblemAnswer), "example": shown}}
    names = list(_names(status))
    return {"description": description, **({"headers": headers(*names)} if names else {}), "content": content}


def _names(status: int) -> Iterator[str]:
    if status in _CHALLENGED:
        yield "WWW-Authenticate"
    elif status:
        yield from _LIMITED
    if status in {429, 503}:
        yield "Retry-After"
