"""One row of the error catalogue."""

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One row of the catalogue; ``status`` is the HTTP number that a request with this fault answers."""

    code: str
    title: str
    status: int
    meaning: str
    remedy: str
