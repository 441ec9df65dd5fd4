"""Making a backup, and keeping those of some days."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import msgspec

from backend.backups import archive, columns, keys, ledger, manifest, snapshot
from backend.backups.archive import Writer
from backend.backups.manifest import Manifest, StoredFile
from backend.db import migrate, tables
from backend.db.database import Database
from backend.db.migrate import Fit
from backend.lib import clock, secrecy
from backend.lib.settings import Settings

# What is kept in the data directory beside database, queue and keys.
FOLDERS = ("letters", "spreadsheets")
_FORM = "%Y%m%dT%H%M%SZ"
_NAME = re.compile(r"carillon-(\d{8}T\d{6}Z)\.zip")


class CannotBeTaken(Exception):
    """A backup would not be whole; the text is a sentence."""


def name() -> str:
    """Name a backup that is made now."""
    return f"carillon-{clock.now().strftime(_FORM)}.zip"


def take(database: Database, configuration: Settings, path: Path, passphrase: str | None) -> Manifest:
    """Write the whole installation as of this moment into an archive; the keys only with a passphrase to seal them.

    Raises:
        CannotBeTaken: the database is not at this release's migration.
        ValueError: the passphrase is too short.
        OSError: the archive cannot be written.
    """
    standing = migrate.standing(database)
    if standing.fit is not Fit.SAME:
        raise CannotBeTaken(f"{standing.sentence()} A backup is made by the release that the database is of.")
    sealed = None if passphrase is None else keys.seal(keys.of_settings(configuration), passphrase)
    with archive.write(path) as writer, snapshot.of(database) as connection:
        counted = ledger.count(connection)
        stored = tuple(
            writer.table(str(table.name), columns.of_table(table), snapshot.rows(connection, table))
            for table in tables.in_order()
            if not tables.is_derived(table.name)
        )
        made = Manifest(
            format=manifest.FORMAT,
            carillon=version("carillon"),
            migration=standing.head,
            engine=database.url.get_backend_name(),
            made_at=clock.now(),
            key_id=secrecy.key_id(configuration.secret_key),
            tables=stored,
            files=tuple(_files(writer, configuration.data_dir)),
            keys=None if sealed is None else writer.octets(keys.NAME, sealed),
            ledger=counted,
        )
        writer.octets(manifest.NAME, msgspec.json.format(msgspec.json.encode(made)))
    return made


def _files(writer: Writer, data: Path) -> Iterator[StoredFile]:
    for folder in FOLDERS:
        for path in sorted((data / folder).rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield writer.file(path.relative_to(data).as_posix(), path)


def purge(folder: Path, days: int, newest: Path) -> list[Path]:
    """Delete a folder's backups that are older than so many days, never the newest one."""
    before = clock.now() - timedelta(days=days)
    gone = [path for path in sorted(folder.iterdir()) if path != newest and _made_at(path.name, before) < before]
    for path in gone:
        path.unlink()
    return gone


def _made_at(named: str, otherwise: datetime) -> datetime:
    """Read from a name when a backup was made; what is named otherwise is none of ours, and stays."""
    found = _NAME.fullmatch(named)
    return datetime.strptime(found[1], _FORM).replace(tzinfo=UTC) if found else otherwise
