"""Postal addresses of letters: three to seven lines, as they stand in the window of the envelope."""

import re

from backend.lib.problems import Problem

MIN_LINES, MAX_LINES = 3, 7
_LINE_LENGTH = 45  # characters that fit the address field at the size of its print
_GAP = re.compile(r"\s+")
_FORM = (
    f"A LETTER address is {MIN_LINES} to {MAX_LINES} lines with ; or line breaks between them, the name first, such as "
    "Ada Lovelace; 12 High Street; LONDON W1A 1AA"
)


def normalise(address: str) -> str:
    """Return the lines of a postal address, tidied, with ``; `` between them.

    Raises ``Problem("invalid_address")`` with a sentence that says the form wanted.
    """
    given = [_GAP.sub(" ", line).strip() for line in re.split(r"[;\r\n]", address)]
    found = [line for line in given if line]
    if not MIN_LINES <= len(found) <= MAX_LINES:
        raise Problem("invalid_address", f"{_FORM}; this one has {len(found)}.")
    if any(not line.isprintable() for line in found):
        raise Problem("invalid_address", f"{_FORM}; this one contains a control character.")
    if any(len(line) > _LINE_LENGTH for line in found):
        raise Problem("invalid_address", f"{_FORM}; each line may have at most {_LINE_LENGTH} characters.")
    return "; ".join(found)


def lines(address: str) -> list[str]:
    """Return the lines of an address in the form that ``normalise`` gives."""
    return address.split("; ")
