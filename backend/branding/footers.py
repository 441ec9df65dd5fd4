"""What stands below every message of a brand: lines of text, and links to the imprint and its like."""

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from backend.channels import addresses
from backend.channels.base import Channel
from backend.lib.problems import FieldError, Problem
from backend.rendering import reachability
from backend.rendering.model import Footer, FooterLink

MAX_LINES, MAX_LINE = 6, 160
MAX_LINKS, MAX_TEXT, MAX_ADDRESS = 5, 60, 500
_TELEPHONE = re.compile(r"tel:\+?[0-9][0-9().-]{2,30}")
_PROTOCOL = re.compile(r"https?://", re.IGNORECASE)


def read(lines: str, links: Sequence[tuple[str, str]]) -> Footer:
    """Read a footer: its lines as one text, its links as pairs of words and an address; empty ones are left out.

    Raises:
        Problem: ``invalid_value`` for each thing that is wrong: at ``/lines``, ``/links/0/text``, ``/links/0/address``.
    """
    faults: list[FieldError] = []
    found = [" ".join(one.split()) for one in lines.splitlines() if one.strip()]
    if len(found) > MAX_LINES or any(len(one) > MAX_LINE or not one.isprintable() for one in found):
        detail = f"A footer has at most {MAX_LINES} lines of {MAX_LINE} printable characters each."
        faults.append(FieldError("/lines", "invalid_value", detail))
    given: list[FooterLink] = []
    for number, (words, written) in enumerate(links):
        text, address = " ".join(words.split()), written.strip()
        if not text and not address:
            continue
        if not 1 <= len(text) <= MAX_TEXT or not text.isprintable():
            detail = f"Say in 1 to {MAX_TEXT} characters where this link leads, such as Imprint."
            faults.append(FieldError(f"/links/{number}/text", "invalid_value", detail))
        try:
            given.append(FooterLink(text, checked_address(address)))
        except Problem as problem:
            faults.append(FieldError(f"/links/{number}/address", "invalid_value", problem.detail))
    if faults:
        raise Problem("invalid_value", faults[0].detail, errors=faults)
    return Footer(tuple(found), tuple(given))


def checked_address(address: str) -> str:
    """Return an address that readers get to: of a page, a mailbox or a telephone.

    Raises:
        Problem: ``invalid_value``.
    """
    if "@" in address and "/" not in address:
        return f"mailto:{addresses.normalise(Channel.EMAIL, address.removeprefix('mailto:'))}"
    if _TELEPHONE.fullmatch(address):
        return address
    if not _PROTOCOL.match(address) or not _is_whole(address):
        detail = "Write a whole address, such as https://lab.example/imprint, an e-mail address, or tel:+441223496000."
        raise Problem("invalid_value", detail)
    for _, detail in reachability.of_address(address, reachability.policy()):
        raise Problem("invalid_value", detail)
    return address


def _is_whole(address: str) -> bool:
    if len(address) > MAX_ADDRESS or not address.isprintable() or re.search(r"[\s<>\"]", address):
        return False
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and parts.port != 0 and parts.username is None
    except ValueError:
        return False
