"""Bringing the database to a migration, and telling whether this release may work on the one that it is at.

Releases are rolled out one process at a time: code works on the newest migration that it knows, and on later ones for
as long as those only add. A migration that takes something away says in ``CODE`` from which migration on the code did
without it, and the database keeps the newest of these words as ``installation.oldest_code``.
"""

import logging
import time
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from importlib import import_module
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import OperationalError

from backend.db.database import Database
from backend.db.migration_files import FOLDER

logger = logging.getLogger(__name__)

# Any number; the same one in every process that migrates.
_ADVISORY_LOCK = 7_261_530
_PRESENT = text("SELECT version_num FROM alembic_version")
_OLDEST_CODE = text("SELECT oldest_code FROM installation")
# While a migration waits for a table, everybody else waits behind it: so it waits briefly, and several times.
_LOCK_TIMEOUT = "2s"
_TRIES = 10
_PAUSE_SECONDS = 1.0
_LOCK_NOT_AVAILABLE = "55P03"


class Fit(StrEnum):
    """How the database and this release go together."""

    SAME = "same"
    BEHIND = "behind"  # it has to be migrated first
    AHEAD = "ahead"  # a later release has migrated it, and this one may go on
    BEYOND = "beyond"  # a later release has taken away what this one needs, or it is not known whether


class Standing(msgspec.Struct, frozen=True):
    """The migration that the database is at, if any, the one of this release, and how they go together."""

    present: str | None
    head: str
    fit: Fit

    @property
    def usable(self) -> bool:
        """Tell whether this release may work on the database."""
        return self.fit in {Fit.SAME, Fit.AHEAD}

    def sentence(self) -> str:
        """Say how they stand, and what to do."""
        at = f"The database is at migration {self.present or 'none'}"
        match self.fit:
            case Fit.SAME:
                return f"{at}."
            case Fit.BEHIND:
                return f"{at}, this release needs {self.head}: run `carillon migrate` first."
            case Fit.AHEAD:
                return f"{at}, this release is of {self.head}: it goes on working, and is to be replaced by the newer."
            case Fit.BEYOND:
                return f"{at}, which is too new for this release of {self.head}: start a release that knows it."


class Busy(Exception):
    """The tables to be changed were in use all the time; the text is a sentence."""


def _alembic() -> Any:
    """Load Alembic, which a start on a database that is at the newest migration does without."""
    return import_module("backend.db.alembic_steps")


@lru_cache(maxsize=1)
def _steps() -> dict[str, str | None]:
    """Map every migration of this release, the newest first, to what its ``CODE`` says."""
    return cast("dict[str, str | None]", _alembic().steps())


@lru_cache(maxsize=1)
def head() -> str:
    """Return the number of the newest migration: of the last file, so that a start need not load all of them."""
    return max(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*_*.py"))


def present(database: Database) -> str | None:
    """Return the migration that the database is at; ``None`` for an empty one.

    It is asked for again and again, and what Alembic asks is to SQLAlchemy a statement that it has never seen, of which
    it then keeps hundreds.
    """
    with database.engine.connect() as connection:
        return _present(connection)


def _present(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(_PRESENT).scalar()
    return found


def standing(database: Database) -> Standing:
    """Tell how the database and this release go together."""
    newest = head()
    with database.engine.connect() as connection:
        at = _present(connection)
        if at == newest:
            fit = Fit.SAME
        elif at is None or at in _steps() or not (at.isdigit() and at > newest):
            fit = Fit.BEHIND
        else:
            oldest = _oldest_code(connection)
            fit = Fit.AHEAD if oldest is not None and newest >= oldest else Fit.BEYOND
    return Standing(at, newest, fit)


def _oldest_code(connection: Connection) -> str | None:
    if not inspect(connection).has_table("installation"):
        return None
    found: str | None = connection.execute(_OLDEST_CODE).scalar()
    return found


def upgrade(database: Database, revision: str = "head") -> None:
    """Run the missing migrations; processes that start together do it one after the other.

    Raises:
        Busy: when the tables could not be had.
        CannotRun: when there is no such migration here.
    """
    _run(database, _alembic().upgrade, revision)


def downgrade(database: Database, revision: str = "-1") -> None:
    """Take migrations back: the newest alone, or all above ``revision``.

    Raises:
        Busy: when the tables could not be had.
        CannotRun: when there is no such migration here.
    """
    _run(database, _alembic().downgrade, revision)


def _run(database: Database, run: Callable[[Connection, str], None], revision: str) -> None:
    for left in reversed(range(_TRIES)):
        try:
            _try(database, run, revision)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
            if not left:
                raise Busy(
                    "The database's tables are in use by a transaction that does not end, so they cannot be changed: "
                    "end it, or run this again later. Nothing was changed."
                ) from error
            logger.warning("The tables are in use; the migration is tried again in a moment")
            time.sleep(_PAUSE_SECONDS)
        else:
            return


def _try(database: Database, run: Callable[[Connection, str], None], revision: str) -> None:
    engine = database.engine.execution_options(carillon_write=True)
    with engine.begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
        run(connection, revision)
        _write_oldest_code(connection)


def _write_oldest_code(connection: Connection) -> None:
    """Write down from which migration on code may work on what the database is now."""
    at = _present(connection)
    if at is not None and inspect(connection).has_table("installation"):
        oldest = max((code for step, code in _steps().items() if code is not None and step <= at), default="0001")
        connection.execute(text("UPDATE installation SET oldest_code = :code"), {"code": oldest})
