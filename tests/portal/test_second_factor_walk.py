"""In production a platform administrator without a second factor gets to its set-up and nowhere else: every address."""

import re
from collections.abc import Callable, Iterator

import pytest
from litestar.testing import TestClient
from sqlalchemy import select

from backend.accounts import sessions
from backend.db.database import Database
from backend.db.models.accounts import User
from backend.lib import settings
from tests.application import application
from tests.portal.conftest import Browser
from tests.portal.furnished import PLATFORM_ADMIN, SIGNED_OUT, Furnished, furnish, paths
from tests.portal.people_and_messages import PASSWORD
from tests.portal.test_session_end import filled, posts

SETUP = "/portal/account/second-factor"
ORIGIN = "https://carillon.example"
# What is open to whoever comes: signing in, and links out of letters, which show nothing of the installation.
_OPEN = {*SIGNED_OUT, "/portal/sign-out", "/portal/sign-in/oidc", "/portal/sign-in/code", SETUP, f"{SETUP}/on"}


@pytest.fixture
def furnished(database: Database) -> Furnished:
    return furnish(database)


@pytest.fixture
def browser(furnished: Furnished, configure: Callable[..., settings.Settings]) -> Iterator[Browser]:
    configure(ENV="production", BASE_URL=ORIGIN)
    with TestClient(application(), base_url=ORIGIN) as client:
        yield Browser(client)


def test_every_address_leads_to_the_set_up(browser: Browser, furnished: Furnished) -> None:
    browser.send("/portal/sign-in", ORIGIN, email=PLATFORM_ADMIN, password=PASSWORD)
    page = browser.get(SETUP)
    found = re.search(r'name="_csrf_token" value="(\w+)"', page.text)
    assert found, page.text
    asked = [("GET", path, furnished.address(path)) for _, path in paths(application())]
    asked += [("POST", path, filled(furnished, path)) for path in posts()]
    let_in = []
    for method, path, address in asked:
        if path in _OPEN:
            continue
        for script in ({}, {"HX-Request": "true", "HX-Current-URL": f"{ORIGIN}/portal"}):
            headers = {"Accept": "text/html", "Origin": ORIGIN, **script}
            form = {"data": {"_csrf_token": found[1], "name": "Mine"}} if method == "POST" else {}
            answer = browser.client.request(method, address, headers=headers, follow_redirects=False, **form)  # type: ignore[arg-type] # a form
            where = answer.headers.get("hx-redirect" if script else "location")
            if where != SETUP or (answer.status_code == 303) is bool(script):
                let_in.append((method, path, bool(script), answer.status_code, where))
    assert not let_in, "\n".join(map(str, let_in))
    assert len(asked) >= 170


@pytest.mark.usefixtures("browser")
def test_whom_the_provider_signed_in_has_its_factors(database: Database) -> None:
    with database.transaction() as session:
        root = session.scalars(select(User.id).where(User.email == PLATFORM_ADMIN)).one()
        values = {given: sessions.begin(session, root, by_provider=given) for given in (True, False)}
    found = {given: sessions.resume(database, value) for given, value in values.items()}
    assert {given: viewer.lacks_factor for given, viewer in found.items() if viewer} == {True: False, False: True}
