"""What the OAuth endpoints answer, with the errors of RFC 6749 §5.2."""

import logging
from typing import Any

import msgspec
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.base import invalid_error_characters

# Authlib's debug log repeats issued tokens.
logging.getLogger("authlib").setLevel(logging.WARNING)

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
INVALID_CLIENT = "invalid_client"
CHALLENGE = 'Basic realm="Carillon", charset="UTF-8"'


class OAuthAnswer(msgspec.Struct, frozen=True):
    """An answer before it is written: the HTTP status, the JSON object, and the headers."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


def success(body: dict[str, Any] | None = None) -> OAuthAnswer:
    """Answer 200; nothing on the way may store it."""
    return OAuthAnswer(200, body or {}, NO_STORE)


def refusal(error: OAuth2Error) -> OAuthAnswer:
    """Answer with an error object; 401 carries the challenge of the one HTTP scheme that clients may use."""
    description = str(error.get_error_description() or "")
    body = {"error": str(error.error)}
    # What a caller sent may be part of Authlib's sentence, and the standard allows few characters there.
    if description and not invalid_error_characters(description):
        body["error_description"] = description
    headers = NO_STORE | ({"WWW-Authenticate": CHALLENGE} if error.status_code == 401 else {})
    return OAuthAnswer(int(error.status_code), body, headers)


def invalid_request(description: str, status: int = 400) -> OAuth2Error:
    """Say that the request itself cannot be read; ``description`` has no quotes and no backslash."""
    return OAuth2Error(error="invalid_request", description=description, status_code=status)


def invalid_client() -> OAuth2Error:
    """Say that the client is not known by what it showed: in one and the same way for every reason."""
    return OAuth2Error(error=INVALID_CLIENT, description="Client authentication failed.", status_code=401)
