"""The address of a person, as it is found in texts and columns, and what is put in its place."""

import re
from typing import Any

from backend.channels.addresses import normalise
from backend.channels.base import Channel
from backend.delivery.content import file_links
from backend.lib.problems import Problem
from backend.registry import suppressions

# What may not stand beside an address, or it is another one: ann@lab.example is not in joann@lab.example.
_MAILBOX = (r"(?<![A-Za-z0-9._%+\-])", r"(?![A-Za-z0-9\-]|\.[A-Za-z0-9])")
_NUMBER = (r"(?<![0-9+])", r"(?![0-9])")


class Person:
    """A person by an e-mail address or a telephone number."""

    def __init__(self, given: str) -> None:
        """Read the address.

        Raises:
            Problem: ``invalid_address`` if it is neither.
        """
        self.address = _canonical(given)
        self.mailbox = file_links.mailbox(self.address)
        self.pseudonym = suppressions.pseudonym(self.address)
        before, behind = _MAILBOX if "@" in self.address else _NUMBER
        self._pattern = re.compile(before + re.escape(self.address) + behind, re.IGNORECASE)
        self._octets = re.compile(self._pattern.pattern.encode(), re.IGNORECASE)

    def __repr__(self) -> str:
        return f"Person({self.pseudonym!r})"

    def erased(self, text: str) -> str:
        """Return a text without the address."""
        return self._pattern.sub(self.pseudonym, text)

    def blotted(self, octets: bytes) -> bytes:
        """Return octets of the same length without the address."""
        return self._octets.sub(lambda found: b"x" * len(found[0]), octets)

    def without(self, value: Any) -> Any:
        """Return what JSON can hold without the address in any of its texts."""
        if isinstance(value, str):
            return self.erased(value)
        if isinstance(value, list):
            return [self.without(one) for one in value]
        if isinstance(value, dict):
            return {self.erased(name): self.without(one) for name, one in value.items()}
        return value


def _canonical(given: str) -> str:
    try:
        return normalise(Channel.EMAIL if "@" in given else Channel.SMS, given)
    except Problem:
        raise Problem(
            "invalid_address",
            "Give the e-mail address of a person, such as ann@lab.example, or a number such as +447700900123.",
        ) from None
