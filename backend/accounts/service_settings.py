"""What can be set for a service: its name, whether it is active and live, how much it may send a day."""

import re

from sqlalchemy.orm import Session

from backend.accounts.services import MAX_NAME, service_by_name
from backend.db.models.accounts import Service
from backend.lib.problems import Problem

MAX_LIMIT = 1_000_000_000


def checked_limit(raw: str) -> int | None:
    """Read a daily limit; None, for the installation's, if nothing was given.

    Raises:
        Problem: ``invalid_value``.
    """
    trimmed = raw.strip().replace(",", "").replace(" ", "")
    if not trimmed:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", trimmed) or int(trimmed) > MAX_LIMIT:
        raise Problem("invalid_value", "A daily limit is a whole number of messages up to 1,000,000,000.")
    return int(trimmed)


def checked_name(session: Session, service: Service, name: str) -> str:
    """Return the name that a service may be given.

    Raises:
        Problem: ``invalid_value``, or ``name_taken``.
    """
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= MAX_NAME or not trimmed.isprintable():
        raise Problem("invalid_value", f"The name of a service has 1 to {MAX_NAME} printable characters.")
    other = service_by_name(session, trimmed)
    if other is not None and other.id != service.id:
        raise Problem("name_taken", f"There is a service named {trimmed} already.")
    return trimmed


def changes(service: Service, **values: object) -> dict[str, object]:
    """Set what differs and return it, for the audit log."""
    differing = {name: value for name, value in values.items() if getattr(service, name) != value}
    for name, value in differing.items():
        setattr(service, name, value)
    return differing
