"""Putting a backup into an empty place, or into a temporary one to see that it can be."""

import os
import tempfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from backend.backups import archive, filling, keys, ledger
from backend.backups.archive import Reader
from backend.backups.filling import NotEmpty
from backend.backups.keys import Keys
from backend.backups.manifest import Damaged, Manifest, StoredFile
from backend.backups.taking import FOLDERS
from backend.db import migrate
from backend.db.database import Database
from backend.lib import secrecy
from backend.lib.settings import Settings

_KEYS_FILE = "restored-keys.env"


class OtherKey(Exception):
    """The secret key here is not the backup's, and no passphrase was given; the text is a sentence."""


class Restored(msgspec.Struct, frozen=True):
    """What was put back; ``keys_in`` is the file in which the keys are that the settings here do not have."""

    manifest: Manifest
    keys_in: Path | None


def verify(path: Path, passphrase: str | None = None) -> Manifest:
    """Read everything in a backup, and put it into a temporary database of this release.

    Raises:
        Damaged: it is not whole, or its ledger is another one after that.
        WrongPassphrase: the passphrase does not open its keys.
        OSError: it cannot be read, or there is no room for the temporary database.
    """
    with archive.read(path) as reader, tempfile.TemporaryDirectory(prefix="carillon-backup-") as folder:
        _see_that_it_is_known(reader.manifest)
        if reader.manifest.keys is not None:
            sealed = reader.keys(keys.NAME)
            if passphrase is not None:
                keys.unseal(sealed, passphrase)
        for stored in reader.manifest.files:
            _target(Path(folder), stored)
            for _piece in reader.file(stored):
                pass
        database = Database(f"sqlite:///{folder}/carillon.db", durable=False)
        try:
            _load(database, reader)
        finally:
            database.close()
        return reader.manifest


def restore(database: Database, configuration: Settings, path: Path, passphrase: str | None) -> Restored:
    """Put a backup into an empty database and data directory.

    Raises:
        Damaged: it is not whole.
        NotEmpty: the place is in use.
        OtherKey: the keys here do not open what is in it.
        WrongPassphrase: the passphrase does not open its keys.
        OSError: a file cannot be read or written.
    """
    with archive.read(path) as reader:
        found = reader.manifest
        _see_that_it_is_known(found)
        filling.see_that_it_is_empty(database, found.migration)
        _see_that_nothing_is_there(configuration.data_dir)
        opened = _opened(reader, passphrase)
        if opened is None and found.key_id not in map(secrecy.key_id, _keys(configuration)):
            raise OtherKey(
                f"The secrets in this backup are sealed under the key {found.key_id}, and CARILLON_SECRET_KEY is "
                "another one: set it to the key of the installation that the backup is of"
                + (", or give the passphrase of its keys." if found.keys else ".")
            )
        _load(database, reader)
        _write_files(reader, configuration.data_dir)
        return Restored(found, None if opened is None else _write_keys(opened, configuration))


def _keys(configuration: Settings) -> tuple[str, ...]:
    return (configuration.secret_key, *configuration.old_secret_keys)


def _opened(reader: Reader, passphrase: str | None) -> Keys | None:
    if passphrase is None:
        return None
    if reader.manifest.keys is None:
        raise Damaged("It has no keys: they were left out when it was made.")
    return keys.unseal(reader.keys(keys.NAME), passphrase)


def _see_that_it_is_known(found: Manifest) -> None:
    if found.migration > migrate.head():
        raise Damaged(
            f"It is of migration {found.migration} and this release knows {migrate.head()}: use the release that "
            f"made it ({found.carillon}), or a newer one."
        )


def _load(database: Database, reader: Reader) -> None:
    """Fill a database, look through it, bring it to this release, and compare its ledger with the backup's."""
    found = reader.manifest
    migrate.upgrade(database, found.migration)
    filling.fill(database, found.tables, reader.rows)
    counted = filling.count_rows(database, found.tables)
    unlike = [one.name for one in found.tables if counted[one.name] != one.rows]
    if unlike:
        raise Damaged(f"Not every row could be put into {', '.join(unlike)}.")
    filling.see_that_it_is_whole(database)
    migrate.upgrade(database)
    with database.engine.connect() as connection:
        said = ledger.difference(found.ledger, ledger.count(connection))
    if said is not None:
        raise Damaged(said)


def _see_that_nothing_is_there(data: Path) -> None:
    for name in FOLDERS:
        folder = data / name
        if folder.is_dir() and any(path.is_file() for path in folder.rglob("*")):
            raise NotEmpty(f"{folder} has files: a backup goes into an empty data directory only.")


def _target(data: Path, stored: StoredFile) -> Path:
    """Return where a file of a backup goes, which is nowhere but in the folders that backups have."""
    path = PurePosixPath(stored.path)
    if path.is_absolute() or ".." in path.parts or len(path.parts) < 2 or path.parts[0] not in FOLDERS:
        raise Damaged(f"Its file {stored.path[:80]!r} has no place in a data directory.")
    return data / path


def _write_files(reader: Reader, data: Path) -> None:
    for stored in reader.manifest.files:
        path = _target(data, stored)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _own(path) as file:
            for piece in reader.file(stored):
                file.write(piece)


def _write_keys(opened: Keys, configuration: Settings) -> Path | None:
    """Write the keys that the settings here do not have into a file that says how to set them."""
    data = configuration.data_dir
    lines = []
    if opened.secret_key != configuration.secret_key:
        lines.append(f"CARILLON_SECRET_KEY={opened.secret_key}")
    if set(opened.old_secret_keys) - set(configuration.old_secret_keys):
        lines.append(f"CARILLON_OLD_SECRET_KEYS={','.join(opened.old_secret_keys)}")
    if opened.dkim and not configuration.dkim:
        named = []
        for key in opened.dkim:
            path = data / f"dkim-{key.domain}-{key.selector}.key"
            with _own(path) as file:
                file.write(key.pem.encode())
            named.append(f"{key.domain}:{key.selector}:{path}")
        lines.append(f"CARILLON_DKIM={','.join(named)}")
    if not lines:
        return None
    with _own(data / _KEYS_FILE) as file:
        file.write(("\n".join(lines) + "\n").encode())
    return data / _KEYS_FILE


def _own(path: Path) -> BinaryIO:
    """Open a new file that its owner alone may read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
