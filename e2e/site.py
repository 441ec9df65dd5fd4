"""The application, really served on a free port, and the way into it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from playwright.sync_api import Page
from sqlalchemy import select

from backend.accounts import sessions
from backend.db.models.accounts import User
from backend.db.session import Database
from backend.lib import settings
from backend.portal.security import cookie_name
from tests.application import application

_START_SECONDS = 20


@dataclass(frozen=True)
class Site:
    """A served application on its own database."""

    url: str
    database: Database


class _Server(uvicorn.Server):
    """Tells when it answers, so that nobody has to look again and again."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()


@contextmanager
def served(configure: Callable[..., settings.Settings], database: Database) -> Iterator[Site]:
    """Serve the application on a free port for one test, on the test's own database."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        configure(PORT=str(port))
        server = _Server(
            uvicorn.Config(application(), log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        assert server.ready.wait(_START_SECONDS), "The application did not start."
        yield Site(f"http://127.0.0.1:{port}", database)
        server.should_exit = True
        thread.join(_START_SECONDS)


def sign_in(page: Page, site: Site, email: str = "ada@lab.example", address: str = "/portal") -> None:
    """Go to an address as somebody who has signed in before; the form itself has journeys of its own."""
    with site.database.write() as session:
        user_id = session.scalars(select(User.id).where(User.email == email)).one()
        value = sessions.begin(session, user_id)
    page.context.add_cookies([{"name": cookie_name(), "value": value, "url": site.url}])
    page.goto(f"{site.url}{address}")
