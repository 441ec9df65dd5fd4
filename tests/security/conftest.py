"""A portal and its APIs with two services that know nothing of each other."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from backend.accounts.users import Role
from backend.db import database as db
from backend.lib import queue, settings
from tests.application import application
from tests.conftest import SECRET_KEY
from tests.portal.conftest import BASE_URL, Browser
from tests.security.two_services import Books, Holding, holding


@dataclass
class Deployment:
    """Both services, the application, and the database's books."""

    http: TestClient[Litestar]
    books: Books
    ours: Holding
    theirs: Holding

    def browser(self, holding: Holding, role: Role) -> Browser:
        """Give a browser in which a member of a service is signed in."""
        self.http.cookies.clear()
        browser = Browser(self.http)
        assert browser.sign_in(holding.email(role)).status_code == 303
        return browser

    def bearer(self, holding: Holding) -> dict[str, str]:
        """Return the header of a service's API client, which may do everything."""
        form = {"grant_type": "client_credentials"}
        credentials = (holding.client.client_id, holding.client.client_secret)
        answer = self.http.post("/oauth/token", data=form, auth=credentials)
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


@pytest.fixture(scope="module")
def deployment(migrated_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Give the deployment to all walks of a module: each leaves it as it was, which is what they are about."""
    data = tmp_path_factory.mktemp("deployment")
    shutil.copy(migrated_file, data / "carillon.db")
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"ENV": "test", "SECRET_KEY": SECRET_KEY, "DATA_DIR": str(data)}.items():
            patched.setenv(f"CARILLON_{name}", value)
        _reset()
        database = db.current()
        ours, theirs = holding(database, "Aurora"), holding(database, "Borealis")
        with TestClient(application(), base_url=BASE_URL) as http:
            yield Deployment(http, Books(database), ours, theirs)
        database.close()
    _reset()


def _reset() -> None:
    settings.current.cache_clear()
    db.current.cache_clear()
    queue.reset()
