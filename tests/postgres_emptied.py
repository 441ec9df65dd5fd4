"""A test's database on PostgreSQL made as new: its rows taken out, if it is otherwise still what it was copied from."""

from typing import Any

import psycopg
from psycopg import Connection, sql

_MOST_ROWS = 3000
_connect = psycopg.connect  # also while a test has put something else in its place

# Whoever else is still connected; what they listen to and lock ends with them.
_END_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
# All that tests may change of a schema, and of what the planner knows: copies of one template have it alike.
_OWN = "oid >= 16384"
_SHAPE = f"""
SELECT md5(string_agg(part, E'\\n' ORDER BY part)) FROM (
    SELECT concat_ws(' ', 'c', oid, relname, relnatts, relchecks, relkind, reltuples, relpages, reloptions) AS part
    FROM pg_class WHERE {_OWN} AND relkind <> 't' AND relnamespace <> 'pg_toast'::regnamespace
    UNION ALL SELECT concat_ws(' ', 'a', attrelid, attname, attnotnull, atttypid, attisdropped)
    FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0
    UNION ALL SELECT concat_ws(' ', 't', oid, tgname, tgenabled) FROM pg_trigger WHERE {_OWN}
    UNION ALL SELECT concat_ws(' ', 'p', oid, prosrc) FROM pg_proc WHERE {_OWN}
    UNION ALL SELECT concat_ws(' ', 'k', oid, convalidated) FROM pg_constraint WHERE {_OWN}
    UNION ALL SELECT concat_ws(' ', 'e', oid, extname) FROM pg_extension
    UNION ALL SELECT concat_ws(' ', 's', setrole, setconfig) FROM pg_db_role_setting
    WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
) AS parts
"""  # noqa: S608 - nothing of it comes from outside
_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY relname"
_COUNTERS = "SELECT sequencename, start_value, last_value FROM pg_sequences ORDER BY sequencename"


class Emptying:
    """What a new copy of the template is like, and how used ones are made like it again."""

    def __init__(self, new: str) -> None:
        with _connect(new, autocommit=True) as connection:
            self._shape = _one(connection, _SHAPE)
            self._tables = [name for (name,) in connection.execute(_TABLES)]
            self._filled = {name: _content(connection, name) for name in _filled(connection, self._tables)}
            self._counters = connection.execute(_COUNTERS).fetchall()

    def of(self, copy: str) -> bool:
        """Empty the copy at an address; tell whether it is as new."""
        try:
            with _connect(copy) as connection:
                return self._empty(connection)
        except psycopg.Error:
            return False  # a test has refused connections to it, or dropped it

    def _empty(self, connection: Connection) -> bool:
        connection.execute(_END_OTHERS)
        self._drop_new_tables(connection)
        if _one(connection, _SHAPE) != self._shape:
            return False
        connection.execute("SET session_replication_role = replica")  # no trigger, and no order to keep
        if not self._delete(connection):
            return False
        for before, now in zip(self._counters, connection.execute(_COUNTERS).fetchall(), strict=True):
            if before != now:
                name, start, last = before
                connection.execute("SELECT setval(%s::regclass, %s, %s)", [name, last or start, last is not None])
        return True

    def _drop_new_tables(self, connection: Connection) -> None:
        """Drop what a test has made, such as the tables of a queue."""
        for (name,) in connection.execute(_TABLES).fetchall():
            if name not in self._tables:
                connection.execute(sql.SQL("DROP TABLE {} CASCADE").format(sql.Identifier(name)))

    def _delete(self, connection: Connection) -> bool:
        """Delete all rows but the template's; tell whether they were few enough to leave no trace."""
        deleted = 0
        for name in _filled(connection, self._tables):
            if name in self._filled and _content(connection, name) == self._filled[name]:
                continue
            if name in self._filled:
                return False
            deleted += connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(name))).rowcount
            if deleted > _MOST_ROWS:
                return False
        return True


def _filled(connection: Connection, tables: list[str]) -> list[str]:
    """Name the tables that have a row."""
    asked = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {} WHERE EXISTS (SELECT 1 FROM {})").format(sql.Literal(name), sql.Identifier(name))
        for name in tables
    )
    return [name for (name,) in connection.execute(asked)]


def _content(connection: Connection, table: str) -> str:
    asked = sql.SQL("SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM {} AS t").format(sql.Identifier(table))
    return str(_one(connection, asked))


def _one(connection: Connection, asked: Any) -> Any:
    row = connection.execute(asked).fetchone()
    return row and row[0]
