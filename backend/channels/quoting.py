"""Quoting a provider: its own words, made fit for a status page and without our credentials."""

import re
from collections.abc import Iterable

_GAP = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_DETAIL_LENGTH = 500  # characters of a provider's answer that are worth keeping


def quoted(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text as one printable line of at most 500 characters, with our credentials left out."""
    line = _GAP.sub(" ", text).strip()
    for secret in secrets:
        if secret:
            line = line.replace(secret, "***")
    return line[:_DETAIL_LENGTH]
