"""The desk that tests of reports are at."""

from collections.abc import Iterator

import pytest

from backend.db.database import Database
from backend.delivery.providers import routes
from tests.conftest import MovableClock
from tests.factories import laboratory
from tests.receipts.desk import Desk


@pytest.fixture
def desk(database: Database, moving_clock: MovableClock) -> Iterator[Desk]:
    """Give the desk on SQLite."""
    routes.routes.cache_clear()
    yield Desk(laboratory(database), moving_clock)
    routes.routes.cache_clear()


@pytest.fixture
def each_desk(any_database: Database, moving_clock: MovableClock) -> Iterator[Desk]:
    """Give the desk on each database."""
    routes.routes.cache_clear()
    yield Desk(laboratory(any_database), moving_clock)
    routes.routes.cache_clear()
