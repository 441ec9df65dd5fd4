"""The SQL that a run has compiled, kept for all its databases: as in operation, where one engine lasts for long.

Each test has a database of its own, and so an engine; to compile its statements anew took a quarter of a test's time.
"""

from typing import Any

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

from backend.db import database as db

_STATEMENTS = 4000
_compiled: LRUCache[Any, Any] = LRUCache(_STATEMENTS)


def _alike(one: DefaultDialect, other: object) -> bool:
    return type(one) is type(other)


def _of_one_kind(one: DefaultDialect) -> int:
    return hash(type(one))


def _engine(*arguments: Any, **options: Any) -> Engine:
    made = create_engine(*arguments, **options)
    made._compiled_cache = _compiled
    return made


def pytest_configure(config: pytest.Config) -> None:
    """Share: a statement's key names the dialect, of which each engine has one that is like the others of its kind."""
    patched = pytest.MonkeyPatch()
    config.add_cleanup(patched.undo)
    patched.setattr(DefaultDialect, "__eq__", _alike)
    patched.setattr(DefaultDialect, "__hash__", _of_one_kind)
    patched.setattr(db, "create_engine", _engine)
