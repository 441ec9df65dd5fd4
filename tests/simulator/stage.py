"""A migrated database of the simulator's own, with an installation on it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from backend.db import database as db
from backend.db import migrate
from backend.lib import queue, settings
from tests.factories import laboratory
from tests.simulator.schedule import Stage
from tests.simulator.world import SharedDatabase

_SECRET_KEY = "a key of the simulator that is long enough"


@contextmanager
def prepared(folder: Path) -> Iterator[Stage]:
    """Make an installation in a folder."""
    values = {"CARILLON_ENV": "test", "CARILLON_SECRET_KEY": _SECRET_KEY, "CARILLON_DATA_DIR": str(folder)}
    before = {name: os.environ.get(name) for name in values}
    os.environ |= values
    settings.current.cache_clear()
    database = SharedDatabase(f"sqlite:///{folder / 'carillon.db'}", durable=False)
    try:
        with patch.object(db, "current", lambda: database):
            migrate.upgrade(database)
            queue.reset()
            yield Stage(laboratory(database), database)
    finally:
        database.close()
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ |= {} if value is None else {name: value}
        settings.current.cache_clear()
        queue.reset()
