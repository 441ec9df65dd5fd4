"""What this machine remembers of its database, in a file beside its other data."""

import contextlib
import hashlib
import os
import secrets
from pathlib import Path

import msgspec

from backend.lib import settings
from backend.restored import marks


class Memory(msgspec.Struct, frozen=True):
    """The epoch and counter that were seen last; ``original`` is false for a file that was itself copied back."""

    epoch: str
    counter: int
    original: bool = True


class _Stored(msgspec.Struct):
    epoch: str
    counter: int
    file: str


def _path() -> Path:
    """Name the file by the database's address, so that another database is not taken for this one."""
    configuration = settings.current()
    place = configuration.database_url.rpartition("@")[2]  # without the password, which may change
    return configuration.data_dir / f"installation-{hashlib.sha256(place.encode()).hexdigest()[:12]}.json"


def recall() -> Memory | None:
    """Return what is remembered, if anything."""
    path = _path()
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
        return Memory(stored.epoch, stored.counter, stored.file == marks.of_file(path))
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def remember(epoch: str, counter: int) -> None:
    """Write down what was seen, whole or not at all, unless more of the same epoch is remembered already."""
    known = recall()
    if known is not None and known.original and known.epoch == epoch and known.counter >= counter:
        return
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(_Stored(epoch, counter, marks.of_file(temporary))))
        temporary.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
