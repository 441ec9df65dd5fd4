"""Statements handed to the driver as they are, for paths where SQLAlchemy's own way costs more than the database's.

Each is a constant of its module, written once for both databases. They run in the transaction of a session.
"""

import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from functools import cached_property, lru_cache
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

# SQLite takes 32,766 parameters a statement.
_MAX_PARAMETERS = 30_000
_LINE = "backend.db.driver.line"
_encode = msgspec.json.Encoder().encode


def _json(value: object) -> str:
    return _encode(value).decode()


@lru_cache(maxsize=64)  # all rows of a transaction have the same
def _moment(value: datetime) -> str:
    return value.replace(tzinfo=None).isoformat(" ", "microseconds")


# How SQLite keeps what it has no type for; the same as the column types of ``backend.db.types`` write.
sqlite3.register_adapter(UUID, attrgetter("bytes"))
sqlite3.register_adapter(datetime, _moment)
sqlite3.register_adapter(date, date.isoformat)
sqlite3.register_adapter(dict, _json)
sqlite3.register_adapter(list, _json)


class Line(msgspec.Struct, frozen=True):
    """The driver's own connection of a session."""

    connection: Any
    dialect: Dialect

    @property
    def is_sqlite(self) -> bool:
        """Tell which of the two databases it leads to."""
        return self.dialect.name == "sqlite"


def keep_line(session: Session) -> None:
    """Find the connection of a session once, if the session keeps it to its end."""
    session.info[_LINE] = _line(session)


def _line(session: Session) -> Line:
    kept: Line | None = session.info.get(_LINE)
    if kept is not None:
        return kept
    connection = session.connection()
    return Line(connection.connection.driver_connection, connection.dialect)


def execute(session: Session, text: str, values: Sequence[Any] = ()) -> Sequence[Any]:
    """Run a statement and return its rows.

    Raises:
        DBAPIError: what SQLAlchemy makes of the driver's error.
    """
    line = _line(session)
    errors: Any = line.dialect.loaded_dbapi.Error
    try:
        cursor = line.connection.execute(text, values)
        return cursor.fetchall() if cursor.description else ()
    except errors as error:
        raise DBAPIError.instance(text, None, error, errors, hide_parameters=True, dialect=line.dialect) from error


def uuid(value: UUID | bytes) -> UUID:
    """Return an id as either database gives it."""
    return value if isinstance(value, UUID) else UUID(bytes=value)


class Insert:
    """An INSERT of any number of rows at once, into these columns of a table; moments are in UTC.

    ``ending`` is what stands behind the rows: ON CONFLICT, RETURNING. PostgreSQL gets all rows as one JSON text,
    which costs a client less than a parameter for each value.
    """

    def __init__(self, table: Table, columns: Sequence[str], ending: str = "") -> None:
        self._table = table
        self._columns = tuple(columns)
        self._into = f"INSERT INTO {table.name} ({', '.join(columns)})"
        self._marks = f"({', '.join('?' * len(columns))})"
        self._ending = ending

    @cached_property
    def _postgresql(self) -> str:
        """Write the statement when the types of foreign keys are known: after all tables are."""
        dialect = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy has not typed it
        types = [self._table.c[name].type.compile(dialect) for name in self._columns]
        typed = ", ".join(f"{name} {kind}" for name, kind in zip(self._columns, types, strict=True))
        names = ", ".join(self._columns)
        return f"{self._into} SELECT {names} FROM json_to_recordset(%s) AS given ({typed}) {self._ending}"  # noqa: S608

    def run(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Insert rows, each of which has a value for every column; return what RETURNING asks for."""
        at_once = _MAX_PARAMETERS // len(self._columns)
        returned: list[Any] = []
        for start in range(0, len(rows), at_once):
            returned += self._run(session, rows[start : start + at_once])
        return returned

    def _run(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        if not _line(session).is_sqlite:
            return execute(session, self._postgresql, (_json(rows),))
        text = _repeated(self._into, self._marks, len(rows), self._ending)
        return execute(session, text, list(chain.from_iterable(map(itemgetter(*self._columns), rows))))


@lru_cache(maxsize=256)
def _repeated(into: str, marks: str, count: int, ending: str) -> str:
    return f"{into} VALUES {', '.join([marks] * count)} {ending}"


class Select:
    """A SELECT by a list of values; ``text`` has ``{}`` where the list stands and ``?`` for each value after it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def rows(self, session: Session, values: Collection[Any], *more: Any) -> Iterator[Any]:
        """Yield the rows as the driver gives them; the values may be any number."""
        is_sqlite = _line(session).is_sqlite
        rest = list(values)
        while rest:
            some, rest = rest[:_MAX_PARAMETERS], rest[_MAX_PARAMETERS:]
            yield from execute(session, _listed(self._text, len(some), is_sqlite), (*some, *more))


@lru_cache(maxsize=512)
def _listed(text: str, count: int, is_sqlite: bool) -> str:
    whole = text.format(", ".join("?" * count))
    return whole if is_sqlite else whole.replace("?", "%s")
