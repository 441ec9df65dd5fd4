"""Bringing an installation from SQLite to PostgreSQL: all its rows, compared, while nobody else writes."""

import msgspec
from sqlalchemy import Connection, func, select, update
from sqlalchemy.orm import Session

from backend.backups import columns, filling, ledger, snapshot
from backend.backups.manifest import Damaged, StoredTable
from backend.db import migrate, tables
from backend.db.database import Database
from backend.db.leases import LENGTH
from backend.db.migrate import Fit
from backend.db.models.installation import Installation
from backend.db.models.operations import Worker
from backend.lib import clock
from backend.restored import hold, marks

_WHY = "The installation was moved from this database to PostgreSQL, and goes on there."


class CannotMove(Exception):
    """The installation cannot be moved now; the text is a sentence."""


class Moved(msgspec.Struct, frozen=True):
    """How many rows of each table there were, and are."""

    rows: dict[str, int]


def move(source: Database, target: Database) -> Moved:
    """Copy everything, compare it table by table, and hold back what waits in the database that is left.

    Raises:
        CannotMove: the databases are not of these kinds, or somebody is at work.
        NotEmpty: the target is in use.
        Damaged: something does not fit PostgreSQL, or is not the same afterwards; the target is of no use then.
    """
    _see_that_it_can_be(source, target)
    filling.see_that_it_is_empty(target, migrate.head())
    migrate.upgrade(target)
    with source.engine.connect().execution_options(carillon_write=True) as connection:
        _see_that_nobody_works(connection)
        by_name = {table.name: table for table in tables.in_order() if not tables.is_derived(table.name)}
        stored = [
            StoredTable(str(table.name), columns.of_table(table), _rows(connection, table.name), "")
            for table in by_name.values()
        ]
        filling.fill(target, stored, lambda one: snapshot.rows(connection, by_name[one.name]))
        _compare(connection, target, stored)
        _hold_source(target)
        hold.hold(Session(connection), _WHY, claims=True)
        connection.commit()
    return Moved({one.name: one.rows for one in stored})


def _see_that_it_can_be(source: Database, target: Database) -> None:
    if not source.is_sqlite:
        raise CannotMove("CARILLON_DATABASE_URL names no SQLite database: this one need not be moved.")
    if target.is_sqlite:
        raise CannotMove("Only a PostgreSQL database can be moved to: give an address like postgresql://….")
    standing = migrate.standing(source)
    if standing.fit is not Fit.SAME:
        raise CannotMove(standing.sentence())


def _see_that_nobody_works(connection: Connection) -> None:
    heard = select(func.count()).select_from(Worker).where(Worker.seen_at >= clock.now() - LENGTH)
    if connection.execute(heard).scalar_one():
        raise CannotMove("A worker is running: stop all processes of Carillon first, and start them when it has moved.")


def _rows(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f'SELECT count(*) FROM "{name}"').scalar_one())  # noqa: S608 - of the models


def _compare(connection: Connection, target: Database, stored: list[StoredTable]) -> None:
    there = filling.count_rows(target, stored)
    unlike = [f"{one.name} ({one.rows}, {there[one.name]})" for one in stored if one.rows != there[one.name]]
    if unlike:
        raise Damaged(f"Not every row has come: {', '.join(unlike)}.")
    with target.engine.connect() as counting:
        said = ledger.difference(ledger.count(connection), ledger.count(counting))
    if said is not None:
        raise Damaged(said)


def _hold_source(target: Database) -> None:
    """Let the database know that it is where it belongs: it is the same installation, and no restored copy."""
    with target.transaction() as session:
        session.execute(update(Installation).values(marks=marks.of_database(target, session)))
