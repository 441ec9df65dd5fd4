"""What a backup says of itself: the member ``manifest.json`` of its archive."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

NAME = "manifest.json"
FORMAT = 1


class Damaged(Exception):
    """An archive that is not whole or not one of ours; the text is a sentence that says what is wrong."""


class Kind(StrEnum):
    """What a column holds, and how a row of the archive writes it in JSON."""

    WHOLE = "whole"
    NUMBER = "number"
    TRUTH = "truth"
    TEXT = "text"
    JSON = "json"  # a text that is JSON, as the database has it
    MOMENT = "moment"  # RFC 3339 in UTC
    DATE = "date"
    UUID = "uuid"
    OCTETS = "octets"  # base64


class Column(msgspec.Struct, frozen=True):
    """A column of a table."""

    name: str
    kind: Kind


class StoredTable(msgspec.Struct, frozen=True):
    """A table: the member ``tables/NAME.jsonl`` has a JSON array of the columns' values for each row."""

    name: str
    columns: tuple[Column, ...]
    rows: int
    sha256: str

    @property
    def member(self) -> str:
        """Return the name of its member of the archive."""
        return f"tables/{self.name}.jsonl"


class StoredFile(msgspec.Struct, frozen=True):
    """A file of the data directory: the member ``files/PATH``, by its path there."""

    path: str
    size: int
    sha256: str

    @property
    def member(self) -> str:
        """Return the name of its member of the archive."""
        return f"files/{self.path}"


class Tally(msgspec.Struct, frozen=True, order=True):
    """A line of the ledger: how many of something a service has in a state, whatever the day."""

    what: Literal["notifications", "deliveries", "batches", "usage"]
    service_id: int
    state: str
    count: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a backup but its content.

    ``key_id`` names the secret key that the database's secrets are sealed under. ``keys`` is the SHA-256 of the member
    ``keys.json``, null where the keys were left out.
    """

    format: int
    carillon: str
    migration: str
    engine: str
    made_at: datetime
    key_id: str
    tables: tuple[StoredTable, ...]
    files: tuple[StoredFile, ...]
    keys: str | None
    ledger: tuple[Tally, ...]


def read(raw: bytes) -> Manifest:
    """Read a manifest.

    Raises:
        Damaged: it cannot be read, or is of a later release's format.
    """
    try:
        found = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Damaged(f"Its manifest cannot be read: {error}.") from error
    if found.format != FORMAT:
        raise Damaged(f"It is of format {found.format}, and this release reads {FORMAT}: use the release that made it.")
    return found
