"""A corpus of hostile input for mails: each is refused with a sentence, or is one mail that holds what was given."""

import json
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from email.utils import parseaddr
from uuid import UUID

import pytest
from httpx import Response
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select

from backend.db import database as db
from backend.db.database import Database
from backend.db.models.notifications import Delivery
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.lib import queue, settings
from backend.receipts import bounce_reading, secret
from tests.application import application
from tests.conftest import SECRET_KEY
from tests.factories import Laboratory, laboratory
from tests.portal.conftest import BASE_URL, Browser
from tests.portal.people_and_messages import user
from tests.security.hostile_mail import BOUNCES, REFUSED, REWRITTEN, SENT, Parts
from tests.smtp_server import Received, SmtpServer

SENDER = "Laboratory <lab@lab.example>"
_HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Auto-Submitted", "X-Auto-Response-Suppress"]
_OF_PARTS = ["Content-Type"]
_OF_TEXT = ["Content-Type", "Content-Transfer-Encoding"]


@dataclass
class Post:
    """The whole way: a service that writes its messages over HTTP, and the mail server that gets them."""

    lab: Laboratory
    http: TestClient[Litestar]
    browser: Browser
    server: SmtpServer
    worker: Sender
    headers: Mapping[str, str]
    token: str
    sender: str = ""
    sender_id: UUID | None = None
    samples: int = 0

    def send(self, content_type: str, parts: Parts) -> Response:
        """Ask for a message of these parts; return the answer that refuses one of them, or the last."""
        sender = parts.get("sender", "Laboratory")
        if sender != self.sender and (answer := self._set_sender(sender)).status_code != 303:
            return answer
        self.sender = sender
        group = {"name": "Lab", "endpoints": [{"type": "EMAIL", "address": parts.get("address", "bob@lab.example")}]}
        answer = self._ask("PUT", "/registry/v1/recipients/X_LAB", group)
        if answer.status_code >= 400:
            return answer
        self.samples += 1  # else it would be the same message again
        channel = {
            "type": "EMAIL",
            "recipient": ["X_LAB"],
            "content_type": content_type,
            "template_id": "X_TEXT" if content_type == "text" else "X_HTML",
            "fields": {"text": parts.get("text", "Text."), "line": parts.get("line", "Line"), "sample": self.samples},
        }
        if "line" not in parts:
            channel["subject"] = parts.get("subject", "Subject")
        return self._ask("POST", "/notifications/v1", {"channels": [channel]})

    def _ask(self, method: str, path: str, body: object) -> Response:
        """Send JSON in ASCII, which alone can hold half a character."""
        headers = {**self.headers, "Content-Type": "application/json"}
        return self.http.request(method, path, content=json.dumps(body), headers=headers)

    def _set_sender(self, name: str) -> Response:
        if self.sender_id is None:
            self.sender_id = self.lab.sender("lab@lab.example", default=True)
        own = f"/portal/services/{self.lab.service_id}/settings/senders/{self.sender_id}/name"
        return self.browser.send(own, token=self.token, name=name)

    def received(self) -> list[Received]:
        """Send what is due, and return what came."""
        self.server.messages.clear()
        self.worker.send_some()
        return list(self.server.messages)

    def bounce(self, message: bytes) -> Response:
        """Bring a mail to the address for bounces."""
        headers = {"Authorization": f"Bearer {secret.bounce_token()}", "Content-Type": "message/rfc822"}
        return self.http.post("/receipts/bounce", content=message, headers=headers)


@pytest.fixture(scope="module")
def post(migrated_file: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Post]:
    """Give one installation to all: what a message leaves behind is no matter to the next."""
    data = tmp_path_factory.mktemp("post")
    shutil.copy(str(migrated_file), data / "carillon.db")
    with ExitStack() as stack:
        server = stack.enter_context(SmtpServer())
        patched = stack.enter_context(pytest.MonkeyPatch.context())
        values = {"ENV": "test", "SECRET_KEY": SECRET_KEY, "DATA_DIR": str(data), "RATE_LIMIT": "100000/minute"}
        for name, value in (values | {"EMAIL_PROVIDERS": server.address, "MAIL_FROM": SENDER}).items():
            patched.setenv(f"CARILLON_{name}", value)
        _reset()
        stack.callback(_reset)
        database = db.current()
        stack.callback(database.close)
        yield _opened(database, server, stack)


def _opened(database: Database, server: SmtpServer, stack: ExitStack) -> Post:
    lab = laboratory(database)
    lab.template("X_TEXT", "{{ text }}", format="text", subject="{{ line }}")
    lab.template("X_HTML", "<html><body><pre>{{ text }}</pre></body></html>", subject="{{ line }}")
    user(database, member_of=lab.service_id, role="admin")
    http = stack.enter_context(TestClient(application(), base_url=BASE_URL))
    browser = Browser(http)
    assert browser.sign_in().status_code == 303
    form, credentials = {"grant_type": "client_credentials"}, (lab.client.client_id, lab.client.client_secret)
    token = http.post("/oauth/token", data=form, auth=credentials).json()["access_token"]
    return Post(lab, http, browser, server, Sender("worker-one"), {"Authorization": f"Bearer {token}"}, browser.token())


def _reset() -> None:
    settings.current.cache_clear()
    db.current.cache_clear()
    queue.reset()
    routes.routes.cache_clear()


def is_what_was_given(one: Received, parts: Parts, *, html: bool) -> None:
    """Check that a mail has the headers of every other one, and that each part reads as it was given."""
    mail = one.parsed
    assert not mail.defects
    assert mail.keys() == _HEADERS + (_OF_PARTS if html else _OF_TEXT)
    assert one.envelope_to == parts.get("address", "bob@lab.example")
    assert str(mail["To"]) == one.envelope_to
    assert len(mail["To"].addresses) == len(mail["From"].addresses) == 1
    assert mail["From"].addresses[0].addr_spec == one.envelope_from == "lab@lab.example"
    assert mail["From"].addresses[0].display_name == parts.get("sender", "Laboratory")
    assert str(mail["Subject"]) == parts.get("subject", "Subject")
    text = re.sub(r"\r\n?", "\n", parts.get("text", "Text."))
    body = mail.get_body(("plain",))
    assert body is not None
    if not html:
        assert body.get_content().replace("\r\n", "\n").strip("\n") == text.strip("\n")
        return
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    shown = mail.get_body(("html",))
    assert shown is not None
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;")
    assert f"<pre>{escaped.replace(chr(39), '&#39;')}</pre>" in shown.get_content().replace("\r\n", "\n")


@pytest.mark.parametrize("content_type", ["text", "html"])
@pytest.mark.parametrize("name", [*SENT, *REWRITTEN])
def test_what_is_taken_is_one_mail_with_what_was_given(post: Post, name: str, content_type: str) -> None:
    given, expected = REWRITTEN[name] if name in REWRITTEN else (SENT[name], SENT[name])
    answer = post.send(content_type, given)
    assert answer.status_code in {200, 202}, answer.text[:500]
    (one,) = post.received()
    is_what_was_given(one, expected, html=content_type == "html")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_sent_is_refused_with_a_sentence(post: Post, name: str) -> None:
    answer = post.send("text", REFUSED[name])
    assert 400 <= answer.status_code < 500, answer.text[:500]
    if "sender" in REFUSED[name]:
        assert re.search(r'class="[^"]*fault[^"]*"', answer.text)
    else:
        problem = answer.json()
        sentences = [problem["detail"], *(error["detail"] for error in problem["errors"])]
        assert all(sentence.endswith(".") and len(sentence) > 15 for sentence in sentences)
        assert "eve@" not in answer.text
    assert post.received() == []


@pytest.mark.parametrize("name", BOUNCES)
def test_mail_that_is_to_eat_its_reader_is_read_in_time_or_refused(
    post: Post, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounce_reading, "_SECONDS", 0.5)
    message = BOUNCES[name]()
    used, began = time.process_time(), time.monotonic()
    answer = post.bounce(message)
    # What it costs is paid by a child.
    assert time.process_time() - used < 0.3
    assert time.monotonic() - began < 8
    assert answer.status_code == 204 or 400 <= answer.status_code < 500, answer.text[:500]
    if answer.status_code != 204:
        assert answer.json()["detail"].endswith(".")
    with post.lab.database.read() as reading:
        assert set(reading.scalars(select(Delivery.status))) <= {"SENT"}


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len(SENT) + len(REWRITTEN) + len(REFUSED) + len(BOUNCES) >= 140
    assert parseaddr(SENDER)[1] == "lab@lab.example"
