"""The alpha's entry point over HTTP: a service with a token of each type, as its clients have them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select

from backend.accounts import service_tokens, services, users
from backend.accounts.service_tokens import TokenType
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, Notification
from backend.delivery.sending.send import Sender
from tests.application import application

SMS = {"to": "+447700900123", "message": "Your sample has arrived"}
EMAIL = {
    "to": "reader@lab.example",
    "from": "samples@service.gov.uk",
    "subject": "Your sample",
    "message": "It has arrived.",
}
PASSWORD = "a long enough password"


@dataclass
class Alpha:
    """A live service with its two tokens, and a user in it."""

    http: TestClient[Litestar]
    database: Database
    service_id: int
    user_id: int
    client: str
    admin: str

    def get(self, path: str, token: str | None = None) -> Response:
        return self.http.get(path, headers=self._headers(token))

    def post(self, path: str, body: object = None, token: str | None = None) -> Response:
        content = body if isinstance(body, bytes) else None
        headers = self._headers(token)
        if content is not None:
            return self.http.post(path, content=content, headers=headers | {"Content-Type": "application/json"})
        return self.http.post(path, json=body, headers=headers)

    def sms(self, token: str | None = None, **changes: object) -> Response:
        return self.post("/sms/notification", {"notification": SMS | changes}, token or self.client)

    def email(self, token: str | None = None, **changes: object) -> Response:
        return self.post("/email/notification", {"notification": EMAIL | changes}, token or self.client)

    def other(self, name: str = "Another service", kind: TokenType = "client", **values: Any) -> tuple[int, str]:
        """Make another service with a token."""
        with self.database.transaction() as session:
            service = services.create_service(session, name, **({"live": True} | values))
            return service.id, service_tokens.create(session, service, kind).token

    def change(self, **values: object) -> None:
        """Change the service's row."""
        with self.database.transaction() as session:
            service = session.get_one(Service, self.service_id)
            for name, value in values.items():
                setattr(service, name, value)

    def deliveries(self) -> list[Delivery]:
        with self.database.read() as session:
            return list(session.scalars(select(Delivery).order_by(Delivery.id)))

    def notifications(self) -> int:
        with self.database.read() as session:
            return len(session.scalars(select(Notification.id)).all())

    def _headers(self, token: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {token or self.admin}"}


@pytest.fixture
def alpha(database: Database) -> Iterator[Alpha]:
    with database.transaction() as session:
        service = services.create_service(session, "Sample office", live=True, daily_limit=100)
        user = users.create_user(
            session, "person@office.gov.uk", PASSWORD, mobile="+447700900456", service=service, role="admin"
        )
        client = service_tokens.create(session, service, "client").token
        admin = service_tokens.create(session, service, "admin").token
    with TestClient(application()) as http:
        yield Alpha(http, database, service.id, user.id, client, admin)


def work() -> None:
    """Do what workers do until nothing is due."""
    sender = Sender("a worker")
    while sender.send_some():
        pass
