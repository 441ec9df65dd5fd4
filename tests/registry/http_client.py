"""The registry's addresses over HTTP, with real access tokens of real clients."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar import Litestar
from litestar.exceptions import HTTPException
from litestar.testing import TestClient

from backend.accounts.clients import SCOPES, create_client
from backend.accounts.oauth import access_tokens
from backend.api import changes, errors, message_settings, recipients, senders, templates
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.lib.problems import Problem

Client = TestClient[Litestar]


@contextmanager
def opened() -> Iterator[Client]:
    """Serve the registry's routes as the whole application serves them."""
    app = Litestar(
        logging_config=None,
        route_handlers=[
            *recipients.ROUTES,
            *templates.ROUTES,
            *changes.ROUTES,
            *message_settings.ROUTES,
            *senders.ROUTES,
        ],
        exception_handlers={
            Problem: errors.on_problem,
            HTTPException: errors.on_http_exception,
            Exception: errors.on_unexpected,
        },
        openapi_config=None,
        request_max_body_size=1024 * 1024,
    )
    with TestClient(app) as client:
        yield client


def authorization(database: Database, service_id: int, *scopes: str) -> dict[str, str]:
    """Make a client of the service and return the header that speaks for it, with all scopes if none is named."""
    with database.transaction() as session:
        service = session.get_one(Service, service_id)
        client = create_client(session, service, "Tests", scopes or SCOPES)
    return {"Authorization": f"Bearer {access_tokens.issue(client.client_id, ' '.join(client.scopes))}"}


def pointers(problem: dict[str, Any]) -> dict[str, str]:
    """Return the code at each pointer of a problem."""
    return {error["pointer"]: error["code"] for error in problem["errors"]}
