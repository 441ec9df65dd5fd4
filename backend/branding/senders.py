"""The name that stands before the address of a brand's e-mails, where the service has set none itself."""

import re
from functools import lru_cache

from backend.lib.mailboxes import mailbox, written
from backend.lib.problems import Problem

MAX_NAME = 80
# A name that looks like an address deceives its readers.
_NOT_IN_A_NAME = re.compile(r'[<>"\\@]')


def checked(name: str) -> str:
    """Return the name that a brand may send under.

    Raises:
        Problem: ``invalid_value``.
    """
    trimmed = " ".join(name.split())
    if not 1 <= len(trimmed) <= MAX_NAME or not trimmed.isprintable() or _NOT_IN_A_NAME.search(trimmed):
        detail = f"A sender’s name has 1 to {MAX_NAME} printable characters, none of them a bracket, a quote or an @."
        raise Problem("invalid_value", detail)
    return trimmed


@lru_cache(maxsize=1024)
def named(sender: str | None, fallback: str, name: str) -> str:
    """Return the From of a mail: the service's sender, or the installation's, under the brand's name if it has one.

    A name that the service has given its sender itself stays.
    """
    plain = sender or fallback
    if not name:
        return plain
    own, address = mailbox(plain)
    return plain if sender and own else written(name, address)
