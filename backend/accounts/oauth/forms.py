"""Requests to the OAuth endpoints: a form (RFC 6749 appendix B) in which no parameter stands twice."""

from urllib.parse import parse_qsl

import msgspec

from backend.accounts.oauth.answers import invalid_request

MAX_BYTES = 16 * 1024
MEDIA_TYPE = "application/x-www-form-urlencoded"
_MAX_FIELDS = 30


class FormRequest(msgspec.Struct, frozen=True):
    """The parameters of a request, those without a value left out, its Authorization header, and where it is from."""

    form: dict[str, str]
    authorization: str | None
    address: str

    def __repr__(self) -> str:
        return f"FormRequest(parameters={sorted(self.form)})"


def read(content_type: str | None, authorization: str | None, body: bytes, address: str) -> FormRequest:
    """Read a form that was sent from a network address.

    Raises:
        OAuth2Error: ``invalid_request`` for another media type, text that is not UTF-8, or a repeated parameter.
    """
    if (content_type or "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise invalid_request(f"The body must be sent as Content-Type: {MEDIA_TYPE}.")
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError as error:  # UnicodeDecodeError is one
        raise invalid_request("The body is not a form in UTF-8, or has too many parameters.") from error
    if len({name for name, _ in pairs}) != len(pairs):
        raise invalid_request("A parameter stands twice in the form.")
    return FormRequest({name: value for name, value in pairs if value}, authorization, address)
