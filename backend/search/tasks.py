"""The package's task: the index is filled each second, and gives way while very much is accepted."""

import time

from backend.db import database as db
from backend.lib import queue
from backend.search import fill

# Of each second.
_SECONDS = 0.4
# For so many new notifications in one second the index waits until they become fewer, but for a small part.
_BUSY = 1_000
_MOST_WHILE_BUSY = 100


class _Last:
    """The newest notification that this process saw a second ago, and whether very many had come until then."""

    newest: int | None = None
    busy = False


@queue.periodic
def index() -> None:
    """Gather the words of what is new: all of it, or one small part while there is very much."""
    end = time.monotonic() + _SECONDS
    seen = fill.some(db.current(), _MOST_WHILE_BUSY if _Last.busy else fill.MOST)
    before, _Last.newest = _Last.newest, seen.newest
    _Last.busy = before is not None and seen.newest - before > _BUSY
    while not _Last.busy and not seen.is_idle and time.monotonic() < end:
        seen = fill.some(db.current())
