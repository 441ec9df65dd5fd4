"""Both databases, with a laboratory that gathers its notifications."""

import pytest

from backend.db.session import Database
from tests.postgres import postgres_database, postgres_template, postgres_url  # noqa: F401 - fixtures


@pytest.fixture(params=["database", "postgres_database"], ids=["sqlite", "postgresql"])
def each_database(request: pytest.FixtureRequest) -> Database:
    """Give a database of either kind, one test each."""
    return request.getfixturevalue(request.param)
