"""SQLite's own account of its memory, in bytes for all connections of this process."""

import _sqlite3
import ctypes
from collections.abc import Callable


def used() -> int:
    """Return what is in use now."""
    return _ask("memory_used")


def needed_for(work: Callable[[], object]) -> int:
    """Return how much more than before was in use at the most while something was done."""
    before = used()
    _ask("memory_highwater", 1)
    work()
    return _ask("memory_highwater", 0) - before


def _ask(name: str, *arguments: int) -> int:
    function = getattr(ctypes.CDLL(_sqlite3.__file__), f"sqlite3_{name}")
    function.restype = ctypes.c_int64
    return int(function(*arguments))
