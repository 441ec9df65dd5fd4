"""Statements handed to the driver as they are, for paths where SQLAlchemy's own way costs more than the database's.

Each is a constant of its module, written once for both databases. They run in the transaction of a session.

For speed alone: without it accepting takes 42 % more of the processor on SQLite and 70 % more on PostgreSQL
(``python -m tests.benchmarks.devices driver_statements``), and without pipelines 11 % more time (``… no_pipeline``).
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from functools import cached_property, lru_cache
from itertools import chain
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backend.db.types import in_utc

# SQLite takes 32,766 parameters a statement.
_MAX_PARAMETERS = 30_000
_LINE, _PIPELINE = "backend.db.driver.line", "backend.db.driver.pipeline"
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


Rows = Callable[[], Sequence[Any]]


class Line(msgspec.Struct, frozen=True):
    """The driver's own connection of a session."""

    connection: Any
    dialect: Dialect

    @property
    def is_sqlite(self) -> bool:
        """Tell which of the two databases it leads to."""
        return self.dialect.name == "sqlite"


def keep_line(session: Session, connection: Connection) -> None:
    """Let a session keep to one connection, which it then never has to find."""
    session.info[_LINE] = _line_of(connection)


def _line(session: Session) -> Line:
    kept: Line | None = session.info.get(_LINE)
    if kept is not None:
        return kept
    return _line_of(session.connection())


def _line_of(connection: Connection) -> Line:
    return Line(connection.connection.driver_connection, connection.dialect)


@contextmanager
def _translated(line: Line, text: str) -> Iterator[None]:
    """Raise what SQLAlchemy makes of the driver's errors."""
    errors: Any = line.dialect.loaded_dbapi.Error
    try:
        yield
    except errors as error:
        raise DBAPIError.instance(text, None, error, errors, hide_parameters=True, dialect=line.dialect) from error


def execute(session: Session, text: str, values: Sequence[Any] = ()) -> Sequence[Any]:
    """Run a statement and return its rows.

    Raises:
        DBAPIError: what SQLAlchemy makes of the driver's error.
    """
    line = _line(session)
    with _translated(line, text):
        cursor = line.connection.execute(text, values)
        # In a pipeline nothing is known of an answer before it is fetched.
        return cursor.fetchall() if _PIPELINE in session.info or cursor.description else ()


def ask(session: Session, text: str, values: Sequence[Any] = ()) -> Rows:
    """Run a statement that has rows and return what gives them: in a pipeline they are waited for then.

    Raises:
        DBAPIError: what SQLAlchemy makes of the driver's error; giving the rows may raise it too.
    """
    line = _line(session)
    with _translated(line, text):
        cursor = line.connection.execute(text, values)

    def rows() -> Sequence[Any]:
        with _translated(line, text):
            found: Sequence[Any] = cursor.fetchall()
        return found

    return rows


def send(session: Session, text: str, values: Sequence[Any] = ()) -> int:
    """Run a statement that has no rows and return how many it touched; in a pipeline it is not waited for (-1).

    Raises:
        DBAPIError: what SQLAlchemy makes of the driver's error.
    """
    line = _line(session)
    with _translated(line, text):
        return int(line.connection.execute(text, values).rowcount)


@contextmanager
def pipeline(session: Session) -> Iterator[None]:
    """Let PostgreSQL work on what is sent while the next statement is made ready: only rows are waited for.

    SQLAlchemy's own statements cannot run in a pipeline; ``end_pipeline`` ends it before them.
    """
    line = _line(session)
    if line.is_sqlite:
        yield
        return
    with _translated(line, "pipeline"), ExitStack() as stack:
        stack.enter_context(line.connection.pipeline())
        session.info[_PIPELINE] = stack
        try:
            yield
        finally:
            session.info.pop(_PIPELINE, None)


def end_pipeline(session: Session) -> None:
    """End a pipeline, if the session has one: wait for everything that was sent.

    Raises:
        DBAPIError: what SQLAlchemy makes of the driver's error.
    """
    stack: ExitStack | None = session.info.pop(_PIPELINE, None)
    if stack is not None:
        with _translated(_line(session), "pipeline"):
            stack.close()


def uuid(value: UUID | bytes) -> UUID:
    """Return an id as either database gives it."""
    return value if isinstance(value, UUID) else UUID(bytes=value)


def moment(value: datetime | str) -> datetime:
    """Return a moment as either database gives it."""
    return in_utc(value if isinstance(value, datetime) else datetime.fromisoformat(value))


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
        return [row for text, values in self._parts(session, rows) for row in execute(session, text, values)]

    def send(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
        """Insert rows where nothing is asked for; return how many were inserted, outside of a pipeline."""
        return sum(send(session, text, values) for text, values in self._parts(session, rows))

    def _parts(self, session: Session, rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Sequence[Any]]]:
        is_sqlite, at_once = _line(session).is_sqlite, _MAX_PARAMETERS // len(self._columns)
        for start in range(0, len(rows), at_once):
            some = rows[start : start + at_once]
            if is_sqlite:
                text = _repeated(self._into, self._marks, len(some), self._ending)
                yield text, list(chain.from_iterable(map(itemgetter(*self._columns), some)))
            else:
                yield self._postgresql, (_json(some),)


@lru_cache(maxsize=256)
def _repeated(into: str, marks: str, count: int, ending: str) -> str:
    return f"{into} VALUES {', '.join([marks] * count)} {ending}"


class Select:
    """A SELECT by a list of values; ``text`` has ``{}`` where the list stands and ``?`` for each value after it."""

    def __init__(self, text: str) -> None:
        self._text = text

    def rows(self, session: Session, values: Collection[Any], *more: Any) -> Iterator[Any]:
        """Yield the rows as the driver gives them; the values may be any number."""
        for text, given in self._parts(session, values, more):
            yield from execute(session, text, given)

    def ask(self, session: Session, values: Collection[Any], *more: Any) -> Rows:
        """Run it and return what gives the rows, which in a pipeline are waited for then."""
        parts = [ask(session, text, given) for text, given in self._parts(session, values, more)]
        return lambda: [row for part in parts for row in part()]

    def send(self, session: Session, values: Collection[Any], *more: Any) -> None:
        """Run it for its locks alone."""
        for text, given in self._parts(session, values, more):
            send(session, text, given)

    def _parts(
        self, session: Session, values: Collection[Any], more: tuple[Any, ...]
    ) -> Iterator[tuple[str, Sequence[Any]]]:
        is_sqlite = _line(session).is_sqlite
        rest = list(values)
        while rest:
            some, rest = rest[:_MAX_PARAMETERS], rest[_MAX_PARAMETERS:]
            yield _listed(self._text, len(some), is_sqlite), (*some, *more)


@lru_cache(maxsize=512)
def _listed(text: str, count: int, is_sqlite: bool) -> str:
    whole = text.format(", ".join("?" * count))
    return whole if is_sqlite else whole.replace("?", "%s")
