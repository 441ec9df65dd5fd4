"""What can be set for a service: its sender, whether it is active and live, how much it may send a day."""

import re

from sqlalchemy.orm import Session

from backend.accounts.services import MAX_NAME, service_by_name
from backend.channels import addresses
from backend.channels.base import Channel
from backend.db.models.accounts import Service
from backend.lib import settings
from backend.lib.mailboxes import mailbox, written
from backend.lib.problems import Problem

MAX_LIMIT = 1_000_000_000
_MAX_SENDER = 320
# A header could carry them, but a name that looks like an address deceives its readers.
_NOT_IN_A_NAME = re.compile(r'[<>"\\]')


def permitted_domain() -> str:
    """Return the domain that this installation may send from: its own sender's."""
    return mailbox(settings.current().mail_from)[1].rpartition("@")[2].lower()


def checked_sender(name: str, address: str) -> str | None:
    """Write a sender, such as ``Laboratory <lab@lab.example>``; None if nothing was given.

    Raises:
        Problem: ``invalid_address`` for an address outside the permitted domain, ``invalid_value`` for the name.
    """
    name, address = name.strip(), address.strip()
    if not address:
        if name:
            raise Problem("invalid_address", "Give the address that goes with the sender’s name.")
        return None
    canonical = addresses.normalise(Channel.EMAIL, address)
    domain, permitted = canonical.rpartition("@")[2].lower(), permitted_domain()
    if domain != permitted and not domain.endswith(f".{permitted}"):
        detail = f"The sender’s address must be one of {permitted}: mail from other domains would be refused."
        raise Problem("invalid_address", detail)
    if not name.isprintable() or _NOT_IN_A_NAME.search(name):
        raise Problem("invalid_value", "The sender’s name has printable characters, none of them a bracket or quote.")
    # Kept as people write it; the message's own headers are encoded when it is composed.
    sender = written(name, canonical)
    if len(sender) > _MAX_SENDER or len(name) > MAX_NAME:
        raise Problem("invalid_value", f"The sender’s name has at most {MAX_NAME} characters.")
    return sender


def checked_reply_to(address: str) -> str | None:
    """Return the address that answers go to; None if nothing was given.

    Raises:
        Problem: ``invalid_address``.
    """
    return addresses.normalise(Channel.EMAIL, address) if address.strip() else None


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
