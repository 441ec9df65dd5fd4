"""Bringing the database to the newest migration, and telling whether it is there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from backend.db.session import Database

# Any number; the same one in every process that migrates.
_ADVISORY_LOCK = 7_261_530
_PRESENT = text("SELECT version_num FROM alembic_version")


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """Return the number of the newest migration."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None  # noqa: S101 - the versions folder is part of the program
    return revision


def present(database: Database) -> str | None:
    """Return the migration that the database is at; ``None`` for an empty one.

    It is asked for again and again, and what Alembic asks is to SQLAlchemy a statement that it has never seen, of which
    it then keeps hundreds.
    """
    with database.engine.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(_PRESENT).scalar()


def upgrade(database: Database, revision: str = "head") -> None:
    """Run the missing migrations; processes that start together do it one after the other."""
    engine = database.engine.execution_options(carillon_write=True)
    with engine.begin() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
        command.upgrade(_config(connection), revision)
