"""How the kinds of columns stand in the databases, and in the rows of an archive.

Addresses and other secrets are taken as they are stored, sealed: neither a backup nor its restoring needs the key.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from advanced_alchemy.types import GUID
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    cast,
    type_coerce,
)
from sqlalchemy.types import TypeEngine

from backend.backups import manifest
from backend.backups.manifest import Kind
from backend.db.types import Address, Moment

Row = tuple[Any, ...]

# The first that a column's type is one of.
_KINDS: Sequence[tuple[type[TypeEngine[Any]], Kind]] = (
    (Moment, Kind.MOMENT),
    (GUID, Kind.UUID),
    (Address, Kind.TEXT),
    (JSON, Kind.JSON),
    (Boolean, Kind.TRUTH),
    (Integer, Kind.WHOLE),
    (Float, Kind.NUMBER),
    (Date, Kind.DATE),
    (LargeBinary, Kind.OCTETS),
    (String, Kind.TEXT),
)
_IN_PYTHON: dict[Kind, Any] = {
    Kind.WHOLE: int,
    Kind.NUMBER: float,
    Kind.TRUTH: bool,
    Kind.TEXT: str,
    Kind.JSON: str,
    Kind.MOMENT: datetime,
    Kind.DATE: date,
    Kind.UUID: UUID,
    Kind.OCTETS: bytes,
}
_IN_SQLITE: dict[Kind, type[TypeEngine[Any]]] = {
    Kind.WHOLE: BigInteger,
    Kind.NUMBER: Float,
    Kind.TRUTH: Boolean,
    Kind.TEXT: Text,
    Kind.JSON: Text,
    Kind.MOMENT: Moment,
    Kind.DATE: Date,
    Kind.UUID: GUID,
    Kind.OCTETS: LargeBinary,
}


def of_table(table: Table) -> tuple[manifest.Column, ...]:
    """Describe the columns of a table of the models."""
    return tuple(manifest.Column(str(column.name), _kind(column)) for column in table.columns)


def _kind(column: Column[Any]) -> Kind:
    for known, kind in _KINDS:
        if isinstance(column.type, known):
            return kind
    raise TypeError(f"No kind is known for the column {column}: add it to the kinds of backups.")


def as_stored(column: Column[Any], *, sqlite: bool) -> ColumnElement[Any]:
    """Select a column as it is stored: sealed where it is sealed, JSON as its text."""
    if _kind(column) is Kind.JSON and not sqlite:
        return cast(column, Text)
    if _kind(column) in {Kind.JSON, Kind.TEXT}:
        return type_coerce(column, Text())
    return column


def row_type(columns: Sequence[manifest.Column]) -> Any:
    """Return the type of a row, by which what an archive has is checked and read."""
    return tuple[tuple(_IN_PYTHON[column.kind] | None for column in columns)]  # type: ignore[misc] # made at run time


def for_sqlite(stored: manifest.StoredTable) -> Table:
    """Return a table into which SQLite takes such rows."""
    return Table(stored.name, MetaData(), *(Column(one.name, _IN_SQLITE[one.kind]()) for one in stored.columns))
