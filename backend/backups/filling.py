"""Filling an empty database with rows of another, of either kind."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Connection, delete, func, inspect, select, table, text
from sqlalchemy.exc import OperationalError

from backend.backups import columns
from backend.backups.columns import Row
from backend.backups.manifest import Damaged, StoredTable
from backend.db import migrate, tables
from backend.db.database import Database

# What people and systems have put into an installation; migrations put nothing there.
_OF_USE = ("users", "api_clients", "notifications", "recipients", "audit_entries")
_MIGRATION = "alembic_version"

Rows = Callable[[StoredTable], Iterable[list[Row]]]


class NotEmpty(Exception):
    """The place is in use already; the text is a sentence."""


def see_that_it_is_empty(database: Database, migration: str) -> None:
    """See that nobody has used a database, and that it has no tables or those of a migration.

    Raises:
        NotEmpty: otherwise.
    """
    with database.engine.connect() as connection:
        there = set(inspect(connection).get_table_names())
        used = [name for name in _OF_USE if name in there and _count(connection, name)]
    if used:
        raise NotEmpty(
            f"The database is in use: it has rows in {', '.join(used)}. A backup goes into an empty database only."
        )
    present = migrate.present(database)
    if there and present != migration:
        at = "has tables of something else" if present is None else f"is at migration {present}, not {migration}"
        raise NotEmpty(f"The database {at}: give an empty one.")


def _count(connection: Connection, name: str) -> int:
    return int(connection.execute(select(func.count()).select_from(table(name))).scalar_one())


def fill(database: Database, stored: Sequence[StoredTable], rows: Rows) -> None:
    """Put rows into a database that is at the migration they are of, in one transaction.

    Raises:
        Damaged: they do not fit the tables.
    """
    with _writing(database) as connection:
        present = set(inspect(connection).get_table_names()) - {_MIGRATION}
        there = {name for name in present if not tables.is_derived(name)}
        unknown = {one.name for one in stored} ^ there
        if unknown:
            raise Damaged(f"Its tables are not those of its migration: {', '.join(sorted(unknown))}.")
        _take_out(connection, there)
        for one in stored:
            _put = _into_sqlite if database.is_sqlite else _into_postgresql
            _put(connection, one, rows(one))
        if not database.is_sqlite:
            _count_on(connection, stored)


def _take_out(connection: Connection, there: set[str]) -> None:
    """Delete what migrations have put there, those first that refer to others."""
    for one in reversed(tables.in_order()):
        if one.name in there and _count(connection, one.name):
            connection.execute(delete(one))


@contextmanager
def _writing(database: Database) -> Iterator[Connection]:
    engine = database.engine.execution_options(carillon_write=True)
    with engine.begin() as connection:
        if database.is_sqlite:
            # What refers to what is looked at once, in the end.
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        yield connection


def _into_sqlite(connection: Connection, stored: StoredTable, rows: Iterable[list[Row]]) -> None:
    names = [column.name for column in stored.columns]
    insert = columns.for_sqlite(stored).insert()
    for some in rows:
        if some:
            connection.execute(insert, [dict(zip(names, row, strict=True)) for row in some])


def _into_postgresql(connection: Connection, stored: StoredTable, rows: Iterable[list[Row]]) -> None:
    driver: Any = connection.connection.driver_connection
    named = sql.SQL(", ").join(sql.Identifier(column.name) for column in stored.columns)
    copy = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(stored.name), named)
    try:
        with driver.cursor() as cursor, cursor.copy(copy) as copying:
            for some in rows:
                for row in some:
                    copying.write_row(row)
    except psycopg.DataError as error:
        raise Damaged(f"A row of {stored.name} does not fit PostgreSQL: {str(error).splitlines()[0]}.") from error


def _count_on(connection: Connection, stored: Sequence[StoredTable]) -> None:
    """Have PostgreSQL number new rows from the highest number on."""
    for one in stored:
        if any(column.name == "id" for column in one.columns):
            highest = connection.execute(select(func.max(text("id"))).select_from(table(one.name))).scalar()
            if highest is not None:
                connection.execute(
                    text("SELECT setval(pg_get_serial_sequence(:name, 'id'), :highest)"),
                    {"name": f'"{one.name}"', "highest": highest},
                )


def count_rows(database: Database, stored: Sequence[StoredTable]) -> dict[str, int]:
    """Count the rows of each table."""
    with database.engine.connect() as connection:
        return {one.name: _count(connection, one.name) for one in stored}


def see_that_it_is_whole(database: Database) -> None:
    """Have SQLite look through a database's pages, indexes and references; PostgreSQL checks what it is given.

    Raises:
        Damaged: something is wrong with it.
    """
    if not database.is_sqlite:
        return
    with database.engine.connect() as connection:
        try:
            said = [row[0] for row in connection.exec_driver_sql("PRAGMA integrity_check")]
            strays = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        except OperationalError as error:
            raise Damaged(f"The database cannot be looked through: {error.orig}.") from error
    if said != ["ok"]:
        raise Damaged(f"The database is not whole: {said[0]}.")
    if strays:
        raise Damaged(f"A row of {strays[0][0]} refers to one of {strays[0][2]} that is not there.")
