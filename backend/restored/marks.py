"""Where a database physically is, which no dump and no copied file takes along."""

import ctypes
import struct
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from backend.db.database import Database

_HERE = text("SELECT oid, (SELECT 'installation'::regclass::oid) FROM pg_database WHERE datname = current_database()")
_SYSTEM = text("SELECT system_identifier FROM pg_control_system()")
# Of Linux's statx(2): relative to the working directory, the bit of the time of birth, and where that stands.
_AT_FDCWD, _BIRTH, _BIRTH_AT, _SIZE = -100, 0x800, 80, 256


def of_file(path: Path) -> str:
    """Name a file by its inode and its time of birth: the same through renames and writing, another for a copy.

    Raises:
        OSError: if there is no such file.
    """
    found = path.stat()
    return f"{found.st_ino}-{getattr(found, 'st_birthtime', None) or _birth(path)}"


def _birth(path: Path) -> str:
    """Return when a file was made, which Python tells on Linux only from 3.15 on; empty where it is not known."""
    statx = getattr(ctypes.CDLL(None), "statx", None)
    answer = ctypes.create_string_buffer(_SIZE)
    if statx is None or statx(_AT_FDCWD, bytes(path), 0, _BIRTH, answer) != 0:
        return ""
    (mask,) = struct.unpack_from("I", answer)
    seconds, nanoseconds = struct.unpack_from("qI", answer, _BIRTH_AT)
    return f"{seconds}.{nanoseconds}" if mask & _BIRTH else ""


def of_database(database: Database, session: Session) -> dict[str, str]:
    """Return the marks of a database: of its file, or of its cluster, itself and one of its tables.

    A dump that is loaded makes new tables, so that it is another one even in the same database.
    """
    if database.is_sqlite:
        name = database.url.database
        return {"file": of_file(Path(name))} if name and Path(name).exists() else {}
    itself, table = session.execute(_HERE).one()
    return {"database": str(itself), "table": str(table)} | _cluster(session)


def _cluster(session: Session) -> dict[str, str]:
    try:
        with session.begin_nested():
            return {"cluster": str(session.execute(_SYSTEM).scalar_one())}
    except DBAPIError:  # where the role may not ask
        return {}


def differ(before: dict[str, str], now: dict[str, str]) -> bool:
    """Tell whether two sets of marks are of different places; what only one of them knows says nothing."""
    return any(before[name] != now[name] for name in before.keys() & now.keys())
