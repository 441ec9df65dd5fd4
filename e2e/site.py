"""The application, really served by a process on a machine of its own, and the way into it.

The test has the hands of the worker and is the other machine: both have the database, the queue and the key in common,
and nothing else. Each has a data directory of its own, and so are the home and the place for temporary files.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from playwright.sync_api import Page
from sqlalchemy import select

from backend.accounts import sessions
from backend.db.database import Database
from backend.db.models.accounts import User
from backend.lib import settings
from backend.portal.security import cookie_name
from tests.portal.letters import letters
from tests.processes import Process
from tests.storms.installation import free_port, wait_until

_START_SECONDS = 60  # it takes one, on a machine that does nothing else
_LETTER_SECONDS = 20


class WebProcess:
    """``carillon serve`` in folders of its own, with the test's settings as they are at each start."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folders = {name: folder / part for name, part in _PARTS.items()}
        for part in self._folders.values():
            part.mkdir(parents=True, mode=0o700)
        self._url = f"http://127.0.0.1:{port}"
        self._log = folder / "log"
        self._process: Process | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        environment = os.environ | {name: str(part) for name, part in self._folders.items()}
        self._process = Process(("serve",), environment, out=self._log)
        wait_until(self._answers, _START_SECONDS, self._log.read_text)

    def stop(self) -> None:
        """Kill it: nothing of it is to last."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text()
        try:
            return httpx.get(f"{self._url}/healthz", trust_env=False).is_success
        except httpx.TransportError:
            return False


_PARTS = {"CARILLON_DATA_DIR": "data", "HOME": "home", "TMPDIR": "temporary"}


@dataclass(frozen=True)
class Site:
    """A served application on its own database."""

    url: str
    database: Database
    web: WebProcess

    def restart(self) -> None:
        """Start the web process anew, with what was configured since."""
        self.web.stop()
        self.web.start()

    def letter_with(self, subject: str) -> None:
        """Wait until the newest of the letters to people has this subject: an answer does not wait for its letter."""
        wait_until(lambda: self._newest() == subject, _LETTER_SECONDS, lambda: f"{subject}, but {self._newest()}")

    def _newest(self) -> str | None:
        sent = letters(self.database)
        return sent[-1][1]["subject"] if sent else None


@contextmanager
def served(configure: Callable[..., settings.Settings], database: Database, folder: Path) -> Iterator[Site]:
    """Serve the application on a free port for one test, on the test's own database, from a folder of its own."""
    port = free_port()
    configure(PORT=str(port))
    web = WebProcess(folder, port)
    web.start()
    try:
        yield Site(f"http://127.0.0.1:{port}", database, web)
    finally:
        web.stop()


def sign_in(page: Page, site: Site, email: str = "ada@lab.example", address: str = "/portal") -> None:
    """Go to an address as somebody who has signed in before; the form itself has journeys of its own."""
    with site.database.transaction() as session:
        user_id = session.scalars(select(User.id).where(User.email == email)).one()
        value = sessions.begin(session, user_id)
    page.context.add_cookies([{"name": cookie_name(), "value": value, "url": site.url}])
    page.goto(f"{site.url}{address}")
