"""What every test may ask for: settings, a migrated database, a clock that the test moves."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as examples

from backend.callbacks import subscriptions
from backend.db import database as db
from backend.db import migrate
from backend.db.database import Database
from backend.delivery.outcomes import states
from backend.delivery.providers import health, routes
from backend.lib import clock, queue, settings, ttl_cache
from backend.monitoring import providers

# How long an example takes says something of the machine, not of the promise. The same examples at every run, so that
# it ends alike everywhere; ``make explore`` draws as many as it says, other ones with each seed.
_ANY = examples(deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None, derandomize=True)
_MANY = int(os.environ.get("COUNT", "2000"))
examples.register_profile("any machine", _ANY)
examples.register_profile("explore", _ANY, max_examples=_MANY, derandomize=False, print_blob=True)
examples.load_profile("any machine")

# Processes that tests start keep what they compile, whatever the shell says: to compile it anew took most of each.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

SECRET_KEY = "a-secret-key-for-tests-only-0123456789"

# By these names now: a test may have put something else in their place when its settings are forgotten.
_MADE_ONCE = (settings.current, db.current, routes.routes, providers.cached)
# Of rows, which have the same numbers in the next test's database.
_CACHES = (states._witnesses, states._batch_witnesses)


class MovableClock:
    """Stands still until a test moves it; ``seconds`` is what counts on when the wall clock is set."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        self.seconds = 0.0

    def __call__(self) -> datetime:
        return self.moment

    def forward(self, **span: float) -> None:
        self.moment += timedelta(**span)
        self.seconds += timedelta(**span).total_seconds()

    def set(self, **span: float) -> None:
        """Set the wall clock alone, forwards or back."""
        self.moment += timedelta(**span)


@pytest.fixture
def moving_clock() -> Iterator[MovableClock]:
    """Give a clock that starts at 2026-03-02 09:00 UTC and moves only by ``forward(seconds=…)``.

    A figure is then kept for its own time: how long it took to find says how busy the machine is.
    """
    moving = MovableClock()
    clock.use(moving)
    clock.use_counter(lambda: moving.seconds)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ttl_cache, "_SHARE", float("inf"))
        yield moving
    clock.use_counter(None)
    clock.use(None)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one migrated SQLite file, which tests copy instead of migrating again."""
    path = tmp_path_factory.mktemp("migrated") / "carillon.db"
    database = Database(f"sqlite:///{path}")
    migrate.upgrade(database)
    with database.engine.connect() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
    database.close()
    return path


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Put back what a test, or a command that it ran, has set in the environment, and its umask."""
    before = {name: value for name, value in os.environ.items() if name.startswith("CARILLON_")}
    umask = os.umask(0o022)
    os.umask(umask)
    yield
    os.umask(umask)
    for name in [name for name in os.environ if name.startswith("CARILLON_")]:
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., settings.Settings]]:
    """Set settings for one test, as in ``configure(RATE_LIMIT="5/minute")``; the data directory is the test's own."""

    def reset_caches() -> None:
        for made_once in _MADE_ONCE:
            made_once.cache_clear()
        for cache in _CACHES:
            cache._rows.clear()
        subscriptions.clear()
        health.recent.clear()
        queue.reset()

    def apply(**values: str) -> settings.Settings:
        defaults = {"ENV": "test", "SECRET_KEY": SECRET_KEY, "DATA_DIR": str(tmp_path / "data")}
        for name, value in (defaults | values).items():
            monkeypatch.setenv(f"CARILLON_{name}", value)
        reset_caches()
        return settings.current()

    reset_caches()
    yield apply
    reset_caches()


@pytest.fixture
def database(configure: Callable[..., settings.Settings], migrated_file: Path) -> Iterator[Database]:
    """Give a migrated SQLite database of the test's own, which is also the process's current one."""
    configuration = configure()
    configuration.data_dir.mkdir(parents=True, mode=0o700, exist_ok=True)
    shutil.copy(migrated_file, configuration.data_dir / "carillon.db")
    (configuration.data_dir / "carillon.db").chmod(0o600)
    present = db.current()
    yield present
    present.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest) -> Database:
    """Run the test once on each database."""
    name = "database" if request.param == "sqlite" else "postgres_database"
    found: Database = request.getfixturevalue(name)
    return found
