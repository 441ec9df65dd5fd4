"""Connections and transactions on SQLite and PostgreSQL.

Reads and writes are told apart, because SQLite has one writer: a write takes a lock of its own process first and
then begins with ``BEGIN IMMEDIATE``, so that threads queue in memory instead of sleeping on a busy file.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import psycopg
from sqlalchemy import ClauseElement, Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, Dialect, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.compiler import SQLCompiler

from backend.db.driver import keep_line, pipeline, send
from backend.lib import postgresql, settings

_BUSY_MILLISECONDS = 15_000
# So many statements does each connection to SQLite keep made ready, which is all that are always the same. Those with
# lists have a text for each length and take up to 100 KB: the driver's own 128 of them came to 4 MB a connection.
_KEPT_STATEMENTS = 32
_HASTY = "backend.db.database.hasty"


# SQLSTATE "read_only_sql_transaction" (PostgreSQL's documentation, appendix A).
_READ_ONLY = "25006"


class _Ready:
    """A statement as the driver takes it, with what brings its parameters to the driver's types."""

    def __init__(self, text: str, fixed: Mapping[str, Any], processors: Mapping[str, Callable[[Any], Any]]) -> None:
        self.text = text
        self._processors = processors
        self._fixed = {name: self._processed(name, value) for name, value in fixed.items()}

    def values(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return all parameters in the driver's types."""
        return self._fixed | {name: self._processed(name, value) for name, value in parameters.items()}

    def _processed(self, name: str, value: Any) -> Any:
        process = self._processors.get(name)
        return value if process is None else process(value)


def _read(url: str) -> URL:
    """Read an address; of one with several hosts, which SQLAlchemy cannot, only which database it is for."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return make_url("postgresql+psycopg://")


def _log_ahead(connection: sqlite3.Connection) -> None:
    """Have a file written by its log first; SQLite itself does not wait where two do that to a new one at once."""
    end = time.monotonic() + _BUSY_MILLISECONDS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)


class Database:
    """One engine with its read and write transactions.

    ``durable`` asks SQLite for ``synchronous=FULL``, so that what was answered survives a power cut. Without it,
    commits survive a killed process but not a power cut: enough for records whose loss only repeats work.
    """

    def __init__(self, url: str, *, durable: bool = True) -> None:
        self._address = url.replace("postgresql+psycopg:", "postgresql:", 1)
        self.url = _read(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._write_lock = threading.Lock() if self.is_sqlite else nullcontext()
        # The fewest connections are to be in use: each keeps pages in memory, and is quicker the more it has prepared.
        pool = {"pool_size": 10, "max_overflow": 30 if self.is_sqlite else 10, "pool_use_lifo": True}
        self.engine = self._engine(durable, pool)
        self._beside = self._engine(durable, {"poolclass": NullPool})
        self._durable = durable
        self._writer = self.engine.execution_options(carillon_write=True)
        self._hasty_writer = self.engine.execution_options(carillon_write=True, carillon_hasty=True)
        # SQLite's driver commits each statement by itself unless BEGIN has been said; PostgreSQL's has to be told.
        self._ready: dict[ClauseElement, _Ready] = {}
        self._single = self.engine.execution_options(
            **({"carillon_single": True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"})
        )

    def _engine(self, durable: bool, pool: dict[str, Any]) -> Engine:
        engine = self._sqlite_engine(durable, pool) if self.is_sqlite else self._postgresql_engine(pool)
        event.listen(engine, "begin", self._begin)
        return engine

    def _sqlite_engine(self, durable: bool, pool: dict[str, Any]) -> Engine:
        if self.url.database:
            Path(self.url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        engine = create_engine(
            self.url,
            **pool,
            hide_parameters=True,  # errors and logs show them otherwise, secrets among them
            connect_args={"timeout": _BUSY_MILLISECONDS / 1000, "cached_statements": _KEPT_STATEMENTS},
        )
        pragmas = (
            f"synchronous={'FULL' if durable else 'NORMAL'}",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            # In KiB, for each connection: a worker has one for each of the many threads that send.
            f"cache_size=-{16_000 if durable else 4_000}",
            "journal_size_limit=67108864",
        )

        @event.listens_for(engine, "connect")
        def _prepare(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # transactions are begun below, not by the driver
            _log_ahead(connection)
            for pragma in pragmas:
                connection.execute(f"PRAGMA {pragma}")

        @event.listens_for(engine, "checkin")
        def _be_durable_again(connection: Any, record: Any) -> None:
            if connection is not None and record.info.pop(_HASTY, False):
                connection.execute("PRAGMA synchronous=FULL")

        return engine

    def _postgresql_engine(self, pool: dict[str, Any]) -> Engine:
        # Whatever zone and spelling the server, the database or its user has: PostgreSQL's client library asks for
        # these when it connects, which costs no statement and which poolers of connections know.
        os.environ |= {"PGTZ": "UTC", "PGDATESTYLE": "ISO"}
        engine = create_engine(
            "postgresql+psycopg://",
            **pool,
            pool_pre_ping=True,
            hide_parameters=True,
        )

        @event.listens_for(engine, "do_connect")
        def _connect(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> Any:
            """Connect as PostgreSQL's own clients would: SQLAlchemy does not know all of an address."""
            return postgresql.connect(psycopg.Connection, self._address, **options)

        @event.listens_for(engine, "handle_error")
        def _see_whether_it_is_the_right_one(context: Any) -> None:
            """Leave a server that only reads since another has taken over; a new connection may find that one."""
            if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
                context.is_disconnect = True

        return engine

    def _begin(self, connection: Connection) -> None:
        """Begin on SQLite, whose driver has been told not to; say how long a commit waits for the disk."""
        options = connection.get_execution_options()
        hasty = options.get("carillon_hasty")
        if not self.is_sqlite:
            if hasty:
                connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
        elif options.get("carillon_write"):
            if hasty and self._durable:
                connection.info[_HASTY] = True
                connection.exec_driver_sql("PRAGMA synchronous=NORMAL")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif not options.get("carillon_single"):
            connection.exec_driver_sql("BEGIN")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session to read with; nothing is committed."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def read_beside(self) -> Iterator[Session]:
        """Open a session on a connection of its own, for what is read while the caller may hold one of the pool's.

        Were it of the pool, all of those could be held by threads that wait for another one.
        """
        with Session(self._beside, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def autocommit(self) -> Iterator[Session]:
        """Open a session to read with whose statements stand each for itself, without the cost of a transaction.

        For what is asked each second: at the end of a transaction that only read, psycopg forgets what it had prepared.
        """
        # What goes to the driver needs the connection alone: a session that has found its own costs twice as much.
        with self._single.connect() as connection, Session(connection, expire_on_commit=False) as session:
            keep_line(session, connection)
            yield session

    @contextmanager
    def committing(self, session: Session) -> Iterator[None]:
        """Run what is inside in one durable transaction, in a session that ``autocommit`` has opened.

        Reading first and then writing on the same connection spares a group of many small statements what opening
        another one would cost.
        """
        with self._write_lock:
            try:
                with pipeline(session):
                    send(session, "BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN")
                    yield
                    send(session, "COMMIT")
            except BaseException:
                with suppress(DBAPIError):  # a connection that is gone has rolled back
                    send(session, "ROLLBACK")
                raise

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Session]:
        """Open a session to write with, committed at the end and rolled back by an exception.

        A commit that is not ``durable`` waits for no disk: for counts that a power cut may take back.
        """
        writer = self._writer if durable else self._hasty_writer
        with self._write_lock, Session(writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def single_statements(self) -> Iterator[Callable[[ClauseElement, Mapping[str, Any]], int]]:
        """Give a function that runs a statement in a transaction of its own and returns the rows it touched.

        The statement, a constant of its module, is compiled once and handed to the driver as it is: where one has to
        be run for every message, SQLAlchemy's own way costs more than the database's.
        """
        with self._single.connect() as connection:
            driver: Any = connection.connection.driver_connection

            def run(statement: ClauseElement, parameters: Mapping[str, Any]) -> int:
                ready = self._ready.get(statement) or self._make_ready(statement)
                with self._write_lock:
                    return int(driver.execute(ready.text, ready.values(parameters)).rowcount)

            yield run

    def _make_ready(self, statement: ClauseElement) -> "_Ready":
        make_dialect: Any = type(self.engine.dialect)
        dialect: Dialect = make_dialect(paramstyle="named" if self.is_sqlite else "pyformat")
        compiled = cast("SQLCompiler", statement.compile(dialect=dialect))
        processors = {
            name: process
            for name, parameter in compiled.binds.items()
            if (process := parameter.type.dialect_impl(dialect).bind_processor(dialect)) is not None
        }
        fixed = {name: value for name, value in compiled.params.items() if not compiled.binds[name].required}
        ready = self._ready[statement] = _Ready(str(compiled), fixed, processors)
        return ready

    def close(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


class _Process:
    """How this process wants its database."""

    durable = True


def relax() -> None:
    """Let this process's commits reach the disk a little later; what is open already is opened anew.

    For workers: a power cut may take back that a message was sent, so that it goes again with the same identity.
    """
    _Process.durable = False
    if current.cache_info().currsize:
        current().close()
        current.cache_clear()


@lru_cache(maxsize=1)
def current() -> Database:
    """Return the database of this process."""
    return Database(settings.current().database_url, durable=_Process.durable)
