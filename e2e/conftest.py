"""A really served application and a real browser."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from backend.app import create_app
from backend.db.session import Database
from backend.lib import settings
from tests.browser import chromium_path
from tests.conftest import configure, database, migrated_file
from tests.portal.people_and_messages import PASSWORD

# The fixtures of the other tests serve here too; pytest finds them by their names in this module.
__all__ = ["axe", "chromium", "configure", "database", "looked_at", "migrated_file", "open_page", "site"]

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 320, "height": 640}
_AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
# The rules of WCAG 2.2 A and AA, and what the checker's makers call good practice.
_RUN_AXE = """async () => {
  const found = await axe.run(document, {resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a",
    "wcag21aa", "wcag22aa", "best-practice"]});
  return found.violations.map(one => one.id + ": " + one.help + " in " + one.nodes.map(node =>
    node.target.join(" ") + " (" + node.any.map(check => check.message).join("; ") + ")").slice(0, 3).join(", "));
}"""
_START_SECONDS = 20
# What Chromium reports although all is as it should be: a refused sign-in, and the sandbox at its work.
_EXPECTED = ("Failed to load resource: the server responded with a status of 4", "Blocked script execution")


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


@pytest.fixture
def site(configure: Callable[..., settings.Settings], database: Database) -> Iterator[Site]:
    """Serve the application on a free port for one test, on the test's own database."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        configure(PORT=str(port))
        server = _Server(
            uvicorn.Config(create_app(), log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=2)
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        assert server.ready.wait(_START_SECONDS), "The application did not start."
        yield Site(f"http://127.0.0.1:{port}", database)
        server.should_exit = True
        thread.join(_START_SECONDS)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start Chromium once for all journeys."""
    with sync_playwright() as playwright:
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
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if _is_fault(said) else None)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not faults


@pytest.fixture
def looked_at(axe: Callable[[Page], None]) -> Callable[[Page, str], None]:
    """Give a function that checks a page as ``axe`` does, that it fits 320 px, and keeps pictures of it if wanted.

    320 px are also what is left of 1,280 px at 400 % zoom.
    """

    def look(page: Page, name: str) -> None:
        before = page.viewport_size
        axe(page)
        for size in (WIDE, NARROW):
            page.set_viewport_size(size)  # type: ignore[arg-type] # width and height
            fits(page)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of the two words
                picture(page, f"{name}-{size['width']}-{scheme}")
        if before:
            page.set_viewport_size(before)

    return look


@pytest.fixture
def axe() -> Callable[[Page], None]:
    """Give a function that has a page checked for what keeps people out, in light and in dark."""

    def check(page: Page) -> None:
        for scheme in ("light", "dark"):
            # Without motion, colours do not pass through others while they change.
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type] # one of two words
            page.evaluate(_AXE.read_text(encoding="utf-8"))
            found = page.evaluate(_RUN_AXE)
            assert found == [], f"{page.url} in {scheme}: " + "\n".join(found)

    return check


def sign_in(page: Page, site: Site, email: str = "ada@lab.example", address: str = "/portal") -> None:
    """Sign somebody of ``tests.portal.people_and_messages`` in, and go to an address."""
    page.goto(f"{site.url}{address}")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "/sign-in" not in url)


def picture(page: Page, name: str) -> None:
    """Keep a screenshot where ``CARILLON_SCREENSHOTS`` says, for people to look at."""
    folder = os.environ.get("CARILLON_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def fits(page: Page) -> None:
    """Nothing sticks out sideways."""
    width, shown = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= shown
