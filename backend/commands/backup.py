"""The commands that keep an installation and bring it elsewhere; each prints one JSON object."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import OperationalError

from backend.backups import made as made_backups
from backend.backups import moving, restoring, taking
from backend.backups.filling import NotEmpty
from backend.backups.keys import WrongPassphrase
from backend.backups.manifest import Damaged, Manifest
from backend.backups.moving import CannotMove
from backend.backups.restoring import OtherKey
from backend.backups.taking import CannotBeTaken
from backend.commands.database import unreachable
from backend.db import database as db
from backend.db.database import Database
from backend.db.migrate import Busy
from backend.lib import clock, outages, settings
from backend.restored import recognition

_FILE = click.Path(path_type=Path)


def _passphrase(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--passphrase-file", type=_FILE, metavar="FILE", help="A file whose first line seals, or opens, the keys."
    )(command)


@click.command()
@click.argument("to", type=_FILE, required=False)
@click.option("--keep", type=click.IntRange(1, 36500), metavar="DAYS", help="Delete the folder's older backups.")
@_passphrase
def backup(to: Path | None, keep: int | None, passphrase_file: Path | None) -> None:
    """Write a backup into the file or folder TO, or into the folder backups of the data directory.

    It holds the database as of one moment and the files of the data directory, while everything runs. The keys are in
    it only with a passphrase, which seals them; keep them elsewhere otherwise, for without them it is of little use.
    """
    configuration = settings.current()
    with _sentences("The backup"):
        path = _target(to or configuration.data_dir / "backups", is_folder=to is None)
        made = taking.take(db.current(), configuration, path, _read(passphrase_file))
        gone = [] if keep is None else taking.purge(path.parent, keep, path)
    _write_down(made)
    _print(
        {"file": str(path), "bytes": path.stat().st_size} | _described(made) | {"deleted": [one.name for one in gone]}
    )


def _write_down(made: Manifest) -> None:
    """Have doctor and metrics know of a backup, which is good without that."""
    try:
        made_backups.write_down(db.current(), made.made_at)
    except outages.OUTAGES as error:
        click.echo(
            "The backup is made. The database could not be told, so its age stays what it was: "
            f"{outages.reason(error)}.",
            err=True,
        )


@click.command()
@click.argument("file", type=_FILE)
@_passphrase
def verify(file: Path, passphrase_file: Path | None) -> None:
    """See that the backup FILE is whole, by putting it into a temporary database; exit 1 if it is not."""
    with _sentences(str(file)):
        found = restoring.verify(file, _read(passphrase_file))
    _print({"file": str(file), "whole": True} | _described(found))


@click.command()
@click.argument("file", type=_FILE)
@click.option("--check", is_flag=True, help="Restore into a temporary place alone, and compare the ledger.")
@_passphrase
def restore(file: Path, passphrase_file: Path | None, *, check: bool) -> None:
    """Put the backup FILE into an empty database and data directory; what waits in it is held back.

    `carillon held` shows what that is, and decides about it.
    """
    with _sentences(str(file)):
        if check:
            found = restoring.verify(file, _read(passphrase_file))
            _print({"file": str(file), "restored": False, "ledger": "the same"} | _described(found))
            return
        done = restoring.restore(db.current(), settings.current(), file, _read(passphrase_file))
        seen = recognition.look_once()
    _print(
        {"file": str(file), "restored": True, "ledger": "the same"}
        | _described(done.manifest)
        | {"keys_in": done.keys_in and str(done.keys_in), "held": dict(seen.held)}
    )


@click.command()
@click.option("--to", required=True, metavar="URL", help="An empty PostgreSQL database, postgresql://….")
def move(to: str) -> None:
    """Bring the installation from SQLite to PostgreSQL, while all its processes are stopped.

    Every table is counted on both sides. What waits in the old database is held back there, so that nothing goes out
    twice should a process be started on it.
    """
    # The present one may be in a file or a credential, and no setting may be in two places.
    wanted = {"CARILLON_SECRET_KEY": settings.current().secret_key, "CARILLON_DATABASE_URL": to}
    target = Database(settings.from_environment(wanted).database_url)
    try:
        with _sentences("The installation"):
            moved = moving.move(db.current(), target)
    finally:
        target.close()
    _print({"moved": True, "rows": moved.rows, "next": "Set CARILLON_DATABASE_URL to the new address, then start."})


def _target(to: Path, *, is_folder: bool) -> Path:
    if is_folder:
        to.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = to / taking.name() if to.is_dir() else to
    if path.exists():
        raise click.ClickException(f"{path} is there already: a backup is written over nothing.")
    return path


def _read(file: Path | None) -> str | None:
    if file is None:
        return None
    lines = file.read_text(encoding="utf-8").splitlines()
    return lines[0] if lines else ""


@contextmanager
def _sentences(what: str) -> Iterator[None]:
    """Turn what goes wrong into one sentence."""
    try:
        yield
    except Damaged as fault:
        raise click.ClickException(f"{what} cannot be used. {fault}") from fault
    except (CannotBeTaken, CannotMove, NotEmpty, OtherKey, WrongPassphrase, Busy, recognition.NotLoaded) as fault:
        raise click.ClickException(str(fault)) from fault
    except OperationalError as error:
        raise unreachable(error) from error
    except UnicodeDecodeError as fault:
        raise click.ClickException("The file of the passphrase is no text in UTF-8.") from fault
    except ValueError as fault:
        raise click.ClickException(str(fault)) from fault
    except OSError as fault:
        raise click.ClickException(f"{fault.filename or what} cannot be used: {fault.strerror}.") from fault


def _described(found: Manifest) -> dict[str, Any]:
    return {
        "carillon": found.carillon,
        "migration": found.migration,
        "engine": found.engine,
        "made_at": clock.iso(found.made_at),
        "key_id": found.key_id,
        "keys": found.keys is not None,
        "tables": {table.name: table.rows for table in found.tables},
        "files": len(found.files),
    }


def _print(row: dict[str, Any]) -> None:
    click.echo(json.dumps(row, ensure_ascii=False))
