"""Both databases, two services for everything that one owns and the other may not see, and a client of each."""

from collections.abc import Iterator

import pytest

from backend.db.database import Database
from backend.db.models.accounts import Service
from tests.registry import http_client
from tests.registry.http_client import Client


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


@pytest.fixture
def client(database: Database, services: tuple[int, int]) -> Iterator[Client]:
    """Give what sends the first service's token."""
    with http_client.opened() as opened:
        opened.headers.update(http_client.authorization(database, services[0]))
        yield opened


@pytest.fixture
def other(database: Database, services: tuple[int, int]) -> dict[str, str]:
    """Give the header that speaks for the second service."""
    return http_client.authorization(database, services[1])
