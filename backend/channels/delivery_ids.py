"""Our identifier of a delivery where it travels with a message: as we give it, and as it comes back."""

import re

_FORM = re.compile(r"[0-9A-Za-z-]{1,60}", re.ASCII)


def checked(delivery_id: str) -> str:
    """Return the identifier; raise ``ValueError`` if it could be anything but a UUID or the like."""
    if not _FORM.fullmatch(delivery_id):
        raise ValueError("the delivery id is not a UUID")
    return delivery_id


def returned(given: str | None) -> str | None:
    """Return what came back if it can be an identifier of ours."""
    return given if given and _FORM.fullmatch(given) else None
