"""What costs much in operation and shows nothing in a test: hashes that withstand thieves, disks that withstand cuts.

A hash of a password takes 20 ms and a commit of SQLite a few, again and again in each of thousands of tests. The tests
whose promise it is ask for ``as_in_operation``; processes of their own are always as in operation.
"""

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine

from backend.accounts import passwords
from backend.db import database as db

_AS_IN_OPERATION = passwords._hasher
_CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_WAIT_FOR_THE_DISK = re.compile(r"PRAGMA synchronous=\w+", re.IGNORECASE)


class _Disk:
    """Whether SQLite waits for it."""

    waits = False


class _Connection(sqlite3.Connection):
    """Has SQLite write without waiting until the disk has it; a killed process loses nothing by that."""

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if not _Disk.waits:
            statement = _WAIT_FOR_THE_DISK.sub("PRAGMA synchronous=OFF", statement)
        return super().execute(statement, *parameters)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Make both cheap for this process."""
    create_engine = db.create_engine

    def engine(url: Any, **options: Any) -> Engine:
        if "timeout" in options.get("connect_args", {}):  # SQLite's alone
            options["connect_args"] |= {"factory": _Connection}
        return create_engine(url, **options)

    patched = pytest.MonkeyPatch()
    config.add_cleanup(patched.undo)
    patched.setattr(db, "create_engine", engine)
    patched.setattr(passwords, "_hasher", _CHEAP)


@pytest.fixture
def as_in_operation(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hash and write as in operation; name it before the database, which is opened once."""
    passwords._decoy.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", _AS_IN_OPERATION)
    monkeypatch.setattr(_Disk, "waits", True)
    yield
    passwords._decoy.cache_clear()
