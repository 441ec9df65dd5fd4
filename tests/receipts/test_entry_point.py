"""``POST /receipts/…``: bounces with their token, providers by their signature, everything else refused."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select

from backend.channels.base import Channel, ForgedReceipt, ReceiptEvent, ReceiptKind, ReceiptRequest
from backend.db.database import Database
from backend.db.models.notifications import Delivery
from backend.db.models.receipts import ProviderReceipt
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.lib import logs, settings
from backend.receipts import secret
from backend.registry import suppressions
from tests import processes
from tests.application import application
from tests.factories import Laboratory, laboratory, notification
from tests.receipts.bounce_mails import bounce

_SECONDS = 120  # processes start slowly on a busy machine


@dataclass
class Harness:
    """The application, and one message that was sent."""

    http: TestClient[Litestar]
    lab: Laboratory
    delivery: str

    def bounce(self, message: bytes, token: str | None = None) -> int:
        headers = {"Authorization": f"Bearer {token or secret.bounce_token()}", "Content-Type": "message/rfc822"}
        return self.http.post("/receipts/bounce", content=message, headers=headers).status_code

    def status(self) -> str:
        with self.lab.database.read() as session:
            return session.scalars(select(Delivery.status)).one()

    def kept(self) -> int:
        with self.lab.database.read() as session:
            return len(session.scalars(select(ProviderReceipt.id)).all())


@pytest.fixture
def harness(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    monkeypatch.setattr(logs, "configure", lambda **_options: None)
    routes.routes.cache_clear()
    lab = laboratory(database)
    accept_many([lab.submission(notification())], lambda _priorities: None)
    Sender("worker-one").send_some()
    with database.read() as session:
        delivery = str(session.scalars(select(Delivery.uid)).one())
    with TestClient(application()) as http:
        yield Harness(http, lab, delivery)
    routes.routes.cache_clear()


def test_a_bounce_fails_the_delivery_and_suppresses_the_address(harness: Harness) -> None:
    message = bounce("postfix_unknown_user", harness.delivery)
    assert harness.bounce(message) == 204
    assert harness.bounce(message) == 204
    assert harness.status() == "FAILED"
    assert harness.kept() == 1
    with harness.lab.database.read() as session:
        found = suppressions.suppressed(session, harness.lab.service_id, Channel.EMAIL, ["lab@lab.example"])
        error = session.scalars(select(Delivery.error)).one() or ""
    assert found == {"lab@lab.example"}
    assert error.startswith("A mail server reports: not delivered to lab@lab.example, which takes no")
    assert "User unknown" in error


@pytest.mark.parametrize(
    ("name", "status"),
    [("postfix_delayed", "SENT"), ("exim_expired", "FAILED"), ("sendmail_mailbox_full", "FAILED"), ("qmail", "FAILED")],
)
def test_other_bounces_do_what_they_say(harness: Harness, name: str, status: str) -> None:
    assert harness.bounce(bounce(name, harness.delivery)) == 204
    assert harness.status() == status
    with harness.lab.database.read() as session:
        found = suppressions.suppressed(session, harness.lab.service_id, Channel.EMAIL, ["lab@lab.example"])
    assert bool(found) == (name == "qmail")


@pytest.mark.parametrize("message", [b"", b"\x00\xff" * 100, bounce("out_of_office"), bounce("qmail")])
def test_mail_about_nothing_of_ours_is_taken_and_changes_nothing(harness: Harness, message: bytes) -> None:
    assert harness.bounce(message) == 204
    assert harness.status() == "SENT"


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": ""}, {"Authorization": "Basic x"}, {"Authorization": "Bearer x"}]
)
def test_a_bounce_without_the_token_is_refused_unread(harness: Harness, header: dict[str, str]) -> None:
    message = bounce("postfix_unknown_user", harness.delivery)
    answer = harness.http.post("/receipts/bounce", content=message, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (403, "forged_receipt")
    assert answer.headers["content-type"] == "application/problem+json"
    assert harness.status() == "SENT"


def test_a_bounce_that_is_too_large_is_refused(harness: Harness) -> None:
    assert harness.bounce(b"x" * (1024 * 1024 + 1)) == 413


def test_a_provider_that_is_not_set_up_has_no_entry_point(harness: Harness) -> None:
    for kind in ("twilio", "sendgrid", "smtp", "nonsense", "%2e%2e"):
        answer = harness.http.post(f"/receipts/{kind}", content=b"{}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert harness.http.get("/receipts/twilio").status_code == 405


class Account:
    """A provider that believes requests with its own key; ``seen`` are the requests that it was shown."""

    channel = Channel.EMAIL

    def __init__(self, key: str, delivery: str = "", fault: Exception | None = None) -> None:
        self.name = f"vendor://{key}@api.vendor.example"
        self.key, self.delivery, self.fault = key, delivery, fault
        self.seen: list[ReceiptRequest] = []

    def receipts(self, request: ReceiptRequest) -> list[ReceiptEvent]:
        self.seen.append(request)
        if request.headers.get("x-key") != self.key:
            raise ForgedReceipt("the signature is missing or wrong")
        if self.fault is not None:
            raise self.fault
        return [
            ReceiptEvent(provider_message_id="m", kind=ReceiptKind.DELIVERED, event_id="e", delivery_id=self.delivery)
        ]


@pytest.fixture
def accounts(harness: Harness) -> Iterator[list[Account]]:
    """Set two accounts of one provider up, behind a public address."""
    made = [Account("one", harness.delivery), Account("two", harness.delivery)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CARILLON_BASE_URL", "https://carillon.lab.example")
        settings.current.cache_clear()
        patched.setattr(routes, "routes", lambda: {Channel.EMAIL: made})
        yield made


def test_the_account_that_verifies_a_report_reads_it(harness: Harness, accounts: list[Account]) -> None:
    answer = harness.http.post("/receipts/vendor?a=%20b&a=c", content=b"\x00raw", headers={"X-Key": "two"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert harness.status() == "DELIVERED"
    (request,) = accounts[1].seen
    assert (request.method, request.body) == ("POST", b"\x00raw")
    assert request.url == "https://carillon.lab.example/receipts/vendor?a=%20b&a=c"
    assert request.headers["x-key"] == "two"
    assert harness.http.post("/receipts/vendor", content=b"", headers={"X-Key": "one"}).status_code == 204
    assert harness.kept() == 1


def test_a_report_that_no_account_verifies_is_refused(harness: Harness, accounts: list[Account]) -> None:
    answer = harness.http.post("/receipts/vendor", content=b"{}", headers={"X-Key": "three", "Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forged_receipt")
    assert all(account.seen[0].url.startswith("https://carillon.lab.example/") for account in accounts)
    assert harness.status() == "SENT"


def test_a_signed_report_that_cannot_be_read_is_no_fault_of_ours(harness: Harness, accounts: list[Account]) -> None:
    accounts[0].fault = ValueError("s3cr3t")
    answer = harness.http.post("/receipts/vendor", content=b"{}", headers={"X-Key": "one"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert "s3cr3t" not in answer.text


def test_the_commands_print_the_address_and_take_a_bounce_from_a_pipe(harness: Harness) -> None:
    told = dict(json.loads(processes.run("receipts", "address", environment=os.environ, seconds=_SECONDS).stdout))
    assert told["token"] == secret.bounce_token()
    assert str(told["url"]).endswith("/receipts/bounce")
    assert str(told["token"]) in str(told["pipe"])
    command = [Path(sys.executable).with_name("carillon"), "receipts", "bounce"]
    given = bounce("exchange_not_found", harness.delivery)
    done = subprocess.run(
        command, input=given, capture_output=True, check=True, env=os.environ.copy(), timeout=_SECONDS
    )
    assert json.loads(done.stdout) == {"reports": 1}
    assert harness.status() == "FAILED"
