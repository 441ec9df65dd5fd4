"""Template versions kept in memory: they never change, so only room limits how long they stay.

For speed alone: without it accepting takes 12 % more of the processor
(``python -m tests.benchmarks.devices versions``).
"""

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from sqlalchemy.orm import Session

Value = TypeVar("Value")

MAX_CHARACTERS = 32 * 1024 * 1024


class VersionCache(Generic[Value]):
    """Values by version id; beyond ``limit``, counted in characters, those used longest ago make room."""

    def __init__(self, limit: int = MAX_CHARACTERS) -> None:
        self._limit = limit
        self._total = 0
        self._kept: OrderedDict[int, tuple[Value, int]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, version_ids: Iterable[int]) -> dict[int, Value]:
        """Return those of the versions that are kept."""
        found = {}
        with self._lock:
            for version_id in version_ids:
                entry = self._kept.get(version_id)
                if entry is not None:
                    self._kept.move_to_end(version_id)
                    found[version_id] = entry[0]
        return found

    def put(self, version_id: int, value: Value, *, size: int) -> None:
        """Keep a version; ``size`` is its weight in characters."""
        with self._lock:
            _, before = self._kept.pop(version_id, (None, 0))
            self._kept[version_id] = (value, size)
            self._total += size - before
            while self._total > self._limit:
                _, (_, dropped) = self._kept.popitem(last=False)
                self._total -= dropped


# One cache for each connection pool: the ids of one database say nothing about another's.
_caches: WeakKeyDictionary[Any, VersionCache[Any]] = WeakKeyDictionary()
_caches_lock = threading.Lock()


def cache_of(session: Session) -> VersionCache[Any]:
    """Return the cache of the session's database."""
    pool = session.get_bind().engine.pool  # unlike session.connection(), this begins no transaction
    with _caches_lock:
        return _caches.setdefault(pool, VersionCache())
