"""A really served application, a real browser, and a real mail server behind them.

The web process and the test, which does the worker's work, have the database, the queue and the key in common, and no
file else. With ``E2E_DATABASE=postgresql`` both are in PostgreSQL, and no file at all is.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from backend.db import database as db
from backend.db.database import Database
from backend.lib import settings
from e2e import opened_pages, patience
from e2e.site import Site, served
from e2e.workshop import Workshop, open_workshop
from tests.browser import chromium_path
from tests.conftest import configure, migrated_file
from tests.mail_provider import mail_provider
from tests.smtp_server import SmtpServer

# The fixtures of the other tests serve here too; pytest finds them by their names in this module.
__all__ = ["axe", "chromium", "configure", "database", "looked_at", "migrated_file", "open_page", "site", "workshop"]

# What SQLite may lay beside a database that is in use.
_DATABASE_FILES = {f"{name}.db{end}" for name in ("carillon", "queue") for end in ("", "-wal", "-shm", "-journal")}

# What Chromium reports although all is as it should be: a refused sign-in, and the sandbox at its work.
_EXPECTED = ("Failed to load resource: the server responded with a status of 4", "Blocked script execution")


@pytest.fixture
def database(
    request: pytest.FixtureRequest, configure: Callable[..., settings.Settings], migrated_file: Path, tmp_path: Path
) -> Iterator[Database]:
    """Give a migrated database of the test's own, which every process names by its address."""
    if os.environ.get("E2E_DATABASE") == "postgresql":
        yield request.getfixturevalue("postgres_database")
        return
    common = tmp_path / "common"
    common.mkdir(mode=0o700)
    shutil.copy(migrated_file, common / "carillon.db")
    (common / "carillon.db").chmod(0o600)
    configure(DATABASE_URL=f"sqlite:///{common / 'carillon.db'}", QUEUE_URL=f"sqlite:///{common / 'queue.db'}")
    present = db.current()
    yield present
    present.close()
    assert {path.name for path in common.iterdir()} <= _DATABASE_FILES


@pytest.fixture
def site(configure: Callable[..., settings.Settings], database: Database, tmp_path: Path) -> Iterator[Site]:
    """Serve the application for one test, on the test's own database."""
    with served(configure, database, tmp_path / "web") as running:
        yield running


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    """Run a mail server, the provider of what is configured afterwards."""
    with mail_provider(monkeypatch) as running:
        yield running


@pytest.fixture
def workshop(server: SmtpServer, site: Site) -> Workshop:
    """Give a service with its editor, and the hands to do a worker's work."""
    return open_workshop(site, server)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start Chromium once for all journeys."""
    with sync_playwright() as playwright, patience.patient():
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield browser
        browser.close()


def _is_fault(said: ConsoleMessage) -> bool:
    return said.type == "error" and not said.text.startswith(_EXPECTED)


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Give a function that opens a page with context options; the test fails on any fault a page reports."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def open_one(**options: Any) -> Page:
        context = chromium.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(patience.SECONDS * 1000)
        page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
        page.on("console", lambda said: faults.append(f"{page.url}: {said.text}") if _is_fault(said) else None)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def looked_at(axe: Callable[[Page], None]) -> Callable[[Page, str], None]:
    """Give a function that has a page checked by axe and for what sticks out, and keeps pictures if wanted."""

    def look(page: Page, name: str) -> None:
        axe(page)
        opened_pages.fits_everywhere(page, name)

    return look


@pytest.fixture
def axe() -> Callable[[Page], None]:
    """Give a function that has a page checked for what keeps people out, in light and in dark."""
    return opened_pages.keeps_nobody_out
