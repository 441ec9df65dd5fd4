"""The JSON Schemas of the alpha's requests."""

from functools import lru_cache
from typing import Any

from backend.lib import settings

UK_MOBILE = r"^\+44[\d]{10}$"
_EMAIL = r"^[^@\s]+@[^@.\s]+(\.[^@.\s]+)+$"


def _object(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": required}


def _text(minimum: int | None = None, maximum: int | None = None, pattern: str | None = None) -> dict[str, Any]:
    limits = {"minLength": minimum, "maxLength": maximum, "pattern": pattern}
    return {"type": "string"} | {name: value for name, value in limits.items() if value is not None}


_INTEGER = {"type": "integer"}
_GROUPING = {"jobId": _INTEGER, "description": _text(1, 160)}
_FILE_NAME = _text(5, 160)


@lru_cache
def _permitted(domains: tuple[str, ...]) -> str:
    """Write the pattern of an address on one of these domains or below them."""
    either = "|".join(domain.replace(".", r"\.") for domain in domains)
    return rf"^[^@\s]+@([^@.\s]+\.)*({either})$"


def _own_address(minimum: int | None = None, maximum: int | None = None) -> dict[str, Any]:
    return _text(minimum, maximum, _permitted(settings.current().alpha_sender_domains))


def sms() -> dict[str, Any]:
    """Return the schema of a text message."""
    return _object(["to", "message"], to=_text(pattern=UK_MOBILE), message=_text(1, 160), **_GROUPING)


def email() -> dict[str, Any]:
    """Return the schema of an e-mail."""
    addresses = {"to": _text(5, 254, _EMAIL), "from": _own_address(5, 254)}
    contents = {"subject": _text(maximum=130), "message": _text(1, 1900)}
    return _object(["to", "from", "subject", "message"], **addresses, **contents, **_GROUPING)


def job() -> dict[str, Any]:
    """Return the schema of a job."""
    return _object(["name", "serviceId"], name=_text(5, 160), serviceId=_INTEGER, filename=_FILE_NAME)


def service() -> dict[str, Any]:
    """Return the schema of a service."""
    return _object(["name", "userId"], name=_text(5, 160), userId=_INTEGER)


def member() -> dict[str, Any]:
    """Return the schema of a user to be put into a service or taken out of it."""
    return _object(["emailAddress"], emailAddress=_text(pattern=_EMAIL))


def user() -> dict[str, Any]:
    """Return the schema of a new user."""
    return _object(
        ["emailAddress", "mobileNumber", "password"],
        emailAddress=_own_address(),
        mobileNumber=_text(pattern=UK_MOBILE),
        password=_text(10, 255),
    )


def authentication() -> dict[str, Any]:
    """Return the schema of a sign-in."""
    return _object(["emailAddress", "password"], emailAddress=_text(pattern=_EMAIL), password=_text())
