"""A browser, as far as HTTP goes: it keeps cookies, fills in forms and follows no redirect by itself."""

import re
from collections.abc import Callable, Iterator

import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient

from backend.accounts import identities
from backend.db.database import Database
from backend.db.models.accounts import User
from backend.lib import aside, settings
from tests.application import application
from tests.factories import Laboratory, laboratory
from tests.portal.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from tests.portal.people_and_messages import PASSWORD, user

BASE_URL = "http://testserver.local"


class Browser:
    """Asks for pages as a browser does."""

    def __init__(self, client: TestClient[Litestar]) -> None:
        self.client = client

    def get(self, address: str, **headers: str) -> Response:
        return self.client.get(address, headers={"Accept": "text/html", **headers}, follow_redirects=False)

    def send(self, address: str, /, origin: str | None = BASE_URL, token: str | None = None, **form: str) -> Response:
        """Send a form with the CSRF token of the sign-in page, or with ``token``."""
        data = {"_csrf_token": self.token() if token is None else token, **form}
        headers = {"Accept": "text/html"} | ({"Origin": origin} if origin else {})
        answer = self.client.post(address, data=data, headers=headers, follow_redirects=False)
        aside.wait_until_done()  # what the answer did not wait for
        return answer

    def led(self, answer: Response) -> str:
        """Follow a redirect, and return the page."""
        assert answer.status_code == 303, answer.text
        return self.get(answer.headers["location"]).text

    def token(self) -> str:
        page = self.get("/portal/sign-in")
        if page.status_code == 303:
            page = self.get("/portal/account")
        found = re.search(r'name="_csrf_token" value="(\w+)"', page.text)
        assert found, page.text
        return found[1]

    def sign_in(self, email: str = "ada@lab.example", password: str = PASSWORD, **form: str) -> Response:
        return self.send("/portal/sign-in", email=email, password=password, **form)

    def cookie(self, name: str = "carillon") -> str | None:
        return self.client.cookies.get(name)


def served(database: Database, browser: Browser, role: str) -> Laboratory:
    """Store a service, and sign somebody in who has a role in it."""
    made = laboratory(database)
    user(database, member_of=made.service_id, role=role)
    browser.sign_in()
    return made


@pytest.fixture
def client(database: Database) -> Iterator[TestClient[Litestar]]:
    """Give a client of the application on a migrated database."""
    with TestClient(application(), base_url=BASE_URL) as opened:
        yield opened


@pytest.fixture
def browser(client: TestClient[Litestar]) -> Browser:
    """Give a browser without cookies."""
    return Browser(client)


@pytest.fixture
def provider(configure: Callable[..., settings.Settings], database: Database) -> Iterator[OpenIdProvider]:
    with OpenIdProvider() as running:
        configure(
            OIDC_ISSUER=running.issuer,
            OIDC_CLIENT_ID=CLIENT_ID,
            OIDC_CLIENT_SECRET=CLIENT_SECRET,
            BASE_URL=BASE_URL,
        )
        yield running


@pytest.fixture
def ada(database: Database, provider: OpenIdProvider) -> int:
    """Store Ada with an identity at the provider."""
    made = user(database)
    with database.transaction() as session:
        identities.connect(session, session.get_one(User, made), provider.issuer, "ada-1")
    return made
