"""The migrations as Alembic runs them, over one connection; loaded where there is one to run."""

from collections.abc import Callable

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from backend.db.migration_files import FOLDER, CannotRun


def steps() -> dict[str, str | None]:
    """Map every migration of this release, the newest first, to what its ``CODE`` says."""
    script = ScriptDirectory.from_config(config())
    return {step.revision: getattr(step.module, "CODE", None) for step in script.walk_revisions()}


def upgrade(connection: Connection, revision: str) -> None:
    """Run the missing migrations up to one.

    Raises:
        CannotRun: when there is no such.
    """
    _run(command.upgrade, connection, revision)


def downgrade(connection: Connection, revision: str) -> None:
    """Take migrations back, down to one.

    Raises:
        CannotRun: when there is no such.
    """
    _run(command.downgrade, connection, revision)


def _run(run: Callable[[Config, str], None], connection: Connection, revision: str) -> None:
    try:
        run(config(connection), revision)
    except CommandError as refusal:
        raise CannotRun(str(refusal)) from refusal


def config(connection: Connection | None = None) -> Config:
    """Return what Alembic is told: where the migrations are, and on which connection they run."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    return config
