"""Both databases, and two services for everything that one owns and the other may not see."""

import pytest

from backend.db.database import Database
from backend.db.models.accounts import Service


def make_services(database: Database) -> tuple[int, int]:
    """Store two services and return their ids."""
    services = [Service(name="Sequencing"), Service(name="Proteomics")]
    with database.transaction() as session:
        session.add_all(services)
        session.flush()
        return services[0].id, services[1].id


@pytest.fixture
def services(database: Database) -> tuple[int, int]:
    """Give the ids of two services."""
    return make_services(database)


@pytest.fixture(params=["database", "postgres_database"], ids=["sqlite", "postgresql"])
def each_database(request: pytest.FixtureRequest) -> Database:
    """Give a database of either kind, one test each."""
    return request.getfixturevalue(request.param)
