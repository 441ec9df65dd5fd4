"""What only looks at the link in a mail acknowledges nothing, and the button of the page behind it does.

A browser fetches and even opens pages before anybody asks for them, as mail programs and their filters do: here it does
so for real, through a host that takes down what it is asked for and passes it on.
"""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import httpx
from playwright.sync_api import Page, expect
from sqlalchemy import select

from backend.db.models.obligations import Obligation
from e2e.opened_pages import NARROW, WIDE
from e2e.workshop import Workshop
from tests.factories import notification
from tests.storms.installation import wait_until

OPENED_BEFOREHAND = """<!doctype html><html lang="en"><title>A mail</title><link rel="prefetch" href="PATH?link">
<p>Freezer 3 is warm. <a href="PATH">Acknowledge this message</a></p>
<script type="speculationrules">{"prefetch": [{"source": "list", "urls": ["PATH?rule"], "eagerness": "immediate"}],
"prerender": [{"source": "list", "urls": ["PATH?opened"], "eagerness": "immediate"}]}</script></html>"""
_HEADERS = ("accept", "purpose", "sec-purpose", "sec-fetch-dest", "sec-fetch-mode", "user-agent")
_SECONDS = 10


class Reader:
    """A host with a mail that names a link of ours to browsers; ``asked`` is what they ask for: method, path, why."""

    def __init__(self, url: str, path: str) -> None:
        self.asked: list[tuple[str, str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer()

            def do_HEAD(self) -> None:
                self._answer()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def _answer(self) -> None:
                status, kind, content = 200, "text/html", OPENED_BEFOREHAND.replace("PATH", path).encode()
                if self.path.startswith(path):
                    given = {name: value for name in _HEADERS if (value := self.headers.get(name)) is not None}
                    found = httpx.request(self.command, f"{url}{self.path}", headers=given, trust_env=False)
                    status, kind, content = found.status_code, found.headers["content-type"], found.content
                    outer.asked.append((self.command, self.path, given.get("sec-purpose", "")))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def reasons(self) -> set[tuple[str, str]]:
        """Return for what, and why, the link was asked for: by the rule that did so."""
        return {(path.rpartition("?")[2], why) for _, path, why in self.asked}


@contextmanager
def reading(url: str, path: str) -> Iterator[Reader]:
    """Run the host for the length of a block."""
    made = Reader(url, path)
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def state(workshop: Workshop, uid: UUID) -> tuple[str, str | None]:
    """Return the state of an obligation, and who met it."""
    with workshop.site.database.read() as session:
        wanted = select(Obligation.state, Obligation.met_by).where(Obligation.notification_uid == uid)
        return session.execute(wanted).tuples().one()


def owed(workshop: Workshop) -> tuple[UUID, str]:
    """Send what has to be acknowledged; return its id and the path of the link in its mail."""
    later = {"after": "30m", "channels": notification()["channels"]}
    owes = {"until": "acknowledged", "steps": [later]}
    uid = workshop.desk.submit(notification() | {"obligation": owes})
    workshop.work()
    (mail,) = workshop.server.wait_for(1)
    html = mail.parsed.get_body(("html",))
    assert html is not None
    found = re.search(r'href="http://[^"/]+(/acknowledge/[0-9a-f]+)"', html.get_content())
    assert found is not None
    return uid, found[1]


def test_what_a_browser_opens_beforehand_acknowledges_nothing_and_the_button_does(
    workshop: Workshop, open_page: Callable[..., Page], looked_at: Callable[[Page, str], None]
) -> None:
    uid, path = owed(workshop)
    with reading(workshop.site.url, path) as reader:
        page = open_page(viewport=WIDE)
        page.goto(f"{reader.url}/mail")
        beforehand = {("link", "prefetch"), ("rule", "prefetch"), ("opened", "prefetch;prerender")}
        wait_until(lambda: reader.reasons() >= beforehand, _SECONDS, lambda: str(reader.asked))
        assert page.evaluate("path => fetch(path, {method: 'HEAD'}).then(answer => answer.status)", path) == 200
        assert ("HEAD", path, "") in reader.asked
        assert state(workshop, uid) == ("OPEN", None)
        page.goto(f"{reader.url}{path}?opened")  # what was opened beforehand is shown
        expect(page.get_by_role("button", name="Acknowledge this message")).to_be_visible()
    assert state(workshop, uid) == ("OPEN", None)

    person = open_page(viewport=NARROW, java_script_enabled=False)
    person.goto(f"{workshop.site.url}{path}")
    assert state(workshop, uid) == ("OPEN", None)
    person.get_by_label("Your name").fill("Ada Lovelace")
    person.get_by_role("button", name="Acknowledge this message").click()
    expect(person.get_by_role("heading", name="Acknowledged")).to_be_visible()
    assert state(workshop, uid) == ("MET", "Ada Lovelace (lab@lab.example)")
    page.goto(f"{workshop.site.url}{path}")
    looked_at(page, "acknowledged")
