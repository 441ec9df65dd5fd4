"""A small application for tests: the OAuth endpoints and one guarded address, with a client to ask for tokens."""

from functools import lru_cache
from typing import Any

from httpx import Response as HttpResponse
from litestar import Litestar, Request, get, post
from litestar.exceptions import HTTPException
from litestar.testing import TestClient

from backend.accounts import clients, services
from backend.accounts.clients import NewClient
from backend.api import errors, guards, oauth
from backend.db.database import Database
from backend.lib.problems import Problem

BASE_URL = "http://127.0.0.1:8000"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@get("/guarded", guards=[guards.bearer], opt={"scope": "notifications:read"}, sync_to_thread=False)
def guarded(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Tell whom the guard has let pass."""
    found = guards.principal(request)
    return {"client_id": found.client_id, "service_id": found.service_id, "scopes": sorted(found.scopes)}


@post("/guarded", guards=[guards.bearer], opt={"scope": "registry:write"}, sync_to_thread=False)
def written(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Ask for a scope that few tokens have."""
    return {"client_id": guards.principal(request).client_id}


@lru_cache(maxsize=1)
def application() -> Litestar:
    """Build the application as the real one is built; it keeps no settings."""
    return Litestar(
        logging_config=None,
        route_handlers=[*oauth.ROUTES, guarded, written],
        exception_handlers={
            Problem: errors.on_problem,
            HTTPException: errors.on_http_exception,
            Exception: errors.on_unexpected,
        },
        before_send=[guards.tell_rate_limit],
        request_max_body_size=1024 * 1024,
    )


def http_client() -> TestClient[Litestar]:
    """Give an HTTP client of the application."""
    return TestClient(application(), base_url=BASE_URL, raise_server_exceptions=False)


def new_client(database: Database, name: str = "Laboratory", **options: Any) -> NewClient:
    """Register a client, with a service of this name if there is none."""
    with database.transaction() as session:
        service = services.service_by_name(session, name) or services.create_service(session, name)
        return clients.create_client(session, service, "lims", **options)


def token_of(http: TestClient[Litestar], client: NewClient, scope: str | None = None) -> str:
    """Ask for an access token."""
    answer = ask_token(http, client, scope)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


def ask_token(http: TestClient[Litestar], client: NewClient, scope: str | None = None) -> HttpResponse:
    """Ask the token endpoint as a client with HTTP Basic does."""
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    return http.post("/oauth/token", data=form, auth=(client.client_id, client.client_secret))


def bearer(token: str) -> dict[str, str]:
    """Write the Authorization header."""
    return {"Authorization": f"Bearer {token}"}
