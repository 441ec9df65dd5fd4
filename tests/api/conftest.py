"""The whole application over HTTP, with a laboratory behind it and real tokens from its own token endpoint."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import func, select

from backend.accounts import clients
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, Notification
from backend.lib import settings
from tests import factories
from tests.application import application
from tests.factories import Laboratory
from tests.registry.conftest import client, other, services  # noqa: F401 - fixtures

NOTIFICATIONS = "/notifications/v1"
CATALOGUE = "/docs/errors"


@dataclass
class Site:
    """The application as a client system meets it; ``http`` sends the laboratory's token."""

    http: TestClient[Litestar]
    laboratory: Laboratory

    def token(self, client_id: str, secret: str) -> str:
        """Ask the token endpoint for a token."""
        form = {"grant_type": "client_credentials"}
        answer = self.http.post("/oauth/token", data=form, auth=(client_id, secret))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def authorization(self, laboratory: Laboratory, *scopes: str) -> dict[str, str]:
        """Return the header of a new client of a service, with these scopes only."""
        with laboratory.database.transaction() as session:
            service = session.get_one(Service, laboratory.service_id)
            client = clients.create_client(session, service, "Tests", scopes or clients.SCOPES)
        return {"Authorization": f"Bearer {self.token(client.client_id, client.client_secret)}"}

    def send(self, body: object, **headers: str) -> Response:
        """Post a notification: bytes as they are, anything else as JSON."""
        return self.post(NOTIFICATIONS, body, **headers)

    def explain(self, body: object, **headers: str) -> Response:
        """Post a notification to be explained."""
        return self.post(f"{NOTIFICATIONS}/explain", body, **headers)

    def post(self, path: str, body: object, **headers: str) -> Response:
        """Post JSON."""
        if not isinstance(body, bytes):
            return self.http.post(path, json=body, headers=headers)
        return self.http.post(path, content=body, headers={"Content-Type": "application/json"} | headers)

    def show(self, notification_id: str, **headers: str) -> Response:
        """Look a notification up."""
        return self.http.get(f"{NOTIFICATIONS}/{notification_id}", headers=headers)

    def switch_off(self) -> None:
        """Switch the laboratory's service off."""
        with self.laboratory.database.transaction() as session:
            session.get_one(Service, self.laboratory.service_id).active = False

    def stored(self) -> tuple[int, int]:
        """Count the stored notifications and deliveries."""
        with self.laboratory.database.read() as session:
            notifications = session.scalar(select(func.count(Notification.id)))
            return notifications or 0, session.scalar(select(func.count(Delivery.id))) or 0


def is_problem(answer: Response, status: int, code: str) -> dict[str, Any]:
    """Check every member of a problem that is always there, and return the problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert {"type", "title", "status", "detail", "code", "errors"} <= problem.keys()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"] == f"{settings.current().base_url}{CATALOGUE}#{code}"
    assert problem["title"]
    assert problem["detail"]
    assert all(error.keys() == {"pointer", "code", "detail"} for error in problem["errors"])
    return problem


def _open(database: Database, **service: Any) -> Iterator[Site]:
    laboratory = factories.laboratory(database, **service)
    with TestClient(application()) as http:
        site = Site(http, laboratory)
        token = site.token(laboratory.client.client_id, laboratory.client.client_secret)
        http.headers["Authorization"] = f"Bearer {token}"
        yield site


@pytest.fixture
def site(database: Database) -> Iterator[Site]:
    """Serve the whole application with a laboratory's client."""
    yield from _open(database)


@pytest.fixture(params=["database", "postgres_database"], ids=["sqlite", "postgresql"])
def each_site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Serve the whole application on a database of either kind, one test each."""
    yield from _open(request.getfixturevalue(request.param))


@pytest.fixture
def limited_site(
    database: Database, configure: Callable[..., settings.Settings], request: pytest.FixtureRequest
) -> Iterator[Site]:
    """Serve the application with the settings that the test's parameter names."""
    configure(**request.param)
    yield from _open(database)
