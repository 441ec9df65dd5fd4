"""The files of a print spool: written whole or not at all, found by their delivery, deleted when they are old."""

import contextlib
import os
import re
import secrets
from datetime import datetime
from pathlib import Path

from backend.lib import secret_files

_NAME = "spool.id"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# So many files go at a time, so that nothing else waits.
_AT_ONCE = 1000


def name_of(folder: Path) -> str:
    """Return the name that tells a folder from those of other machines; a new one gets one.

    Raises:
        OSError: if it can be neither read nor written.
    """
    return secret_files.keep(folder / _NAME, secrets.token_hex(16))


def manifest(folder: Path, delivery_id: str) -> Path | None:
    """Return the manifest of a letter that an attempt before has put down, on whatever day."""
    if not folder.is_dir():
        return None
    days = (Path(entry.path) for entry in os.scandir(folder) if entry.is_dir())
    return next((path for day in days if (path := day / f"{delivery_id}.json").is_file()), None)


def write(path: Path, content: bytes) -> None:
    """Write a file that is there with all its content or not at all, also when the machine goes down."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def delete(folder: Path, before: datetime) -> int:
    """Delete some files of days that ended before a moment (UTC), the oldest first; return how many went."""
    limit, gone = before.date().isoformat(), 0
    for day in sorted(path for path in folder.iterdir() if _DAY.fullmatch(path.name) and path.name < limit):
        for path in day.iterdir():
            if gone == _AT_ONCE:
                return gone
            path.unlink(missing_ok=True)
            gone += 1
        with contextlib.suppress(OSError):  # another worker of this machine was quicker
            day.rmdir()
    return gone
