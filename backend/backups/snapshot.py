"""All rows of a database as of one moment, while others go on working on it."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Table, select

from backend.backups import columns
from backend.backups.columns import Row
from backend.db.database import Database

_AT_ONCE = 2000


@contextmanager
def of(database: Database) -> Iterator[Connection]:
    """Open a transaction that sees the same from its beginning to its end."""
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


def rows(connection: Connection, table: Table) -> Iterator[list[Row]]:
    """Read a table in the order of its key, some rows at a time."""
    sqlite = connection.dialect.name == "sqlite"
    chosen = select(*(columns.as_stored(column, sqlite=sqlite) for column in table.columns))
    streaming = connection.execution_options(stream_results=True) if not sqlite else connection
    with streaming.execute(chosen.order_by(*table.primary_key.columns)) as found:
        for some in found.partitions(_AT_ONCE):
            yield [tuple(row) for row in some]
