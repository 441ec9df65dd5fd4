"""The whole way of a message over each provider that reports back: API, worker, vendor, SENT; receipt, DELIVERED."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import pytest
from litestar.testing import TestClient

from backend.channels import sns
from backend.channels.base import ReceiptRequest
from backend.db.database import Database
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.lib import logs
from backend.lib.settings import Settings
from tests.application import application
from tests.conftest import MovableClock
from tests.factories import laboratory, notification
from tests.vendors.http_server import Reply
from tests.vendors.kinds import AMAZON, CASES

BASE = "https://carillon.example"


class Site:
    """The application and a vendor; ``report`` makes the vendor's report on the last message that it took."""

    def __init__(self, http: Any, vendor: Any, channel: str, report: Callable[[str], ReceiptRequest]) -> None:
        self.http = http
        self.vendor = vendor
        self.channel = channel
        self.report = report

    def accept(self) -> str:
        """Send a notification to the API."""
        subject = "A sample has failed" if self.channel == "EMAIL" else ...
        changes = {"type": self.channel, "content_type": "text", "subject": subject}
        answer = self.http.post("/notifications/v1", json=notification(**changes))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["notification_id"])

    def look(self, identity: str) -> tuple[str, dict[str, Any]]:
        """Return a notification's status and its one delivery."""
        shown = self.http.get(f"/notifications/v1/{identity}").json()
        return shown["status"], shown["channels"][0]["recipients"][0]["deliveries"][0]

    def tell(self, request: ReceiptRequest) -> int:
        """Post a report as the vendor does, to the path behind our public address; return the status."""
        assert request.url.startswith(BASE)
        answer = self.http.post(
            request.url.removeprefix(BASE), content=request.body, headers=dict(request.headers), auth=None
        )
        return int(answer.status_code)


WAYS = {kind: (channel, case, case.report) for (channel, kind), case in CASES.items() if case.report is not None}


@pytest.fixture(params=WAYS)
def site(
    request: pytest.FixtureRequest,
    database: Database,
    configure: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    channel, case, report = WAYS[request.param]
    monkeypatch.setattr(logs, "configure", lambda **_options: None)
    monkeypatch.setattr(sns, "fetch", AMAZON.get)
    with ExitStack() as stack:
        vendor = stack.enter_context(case.serve())
        configure(BASE_URL=BASE, **{f"{channel}_PROVIDERS": vendor.address})
        routes.routes.cache_clear()
        stack.callback(routes.routes.cache_clear)
        lab = laboratory(database)
        lab.recipient("X_LAB", ("EMAIL", "lab@lab.example"), ("SMS", "+447700900123"))
        http = stack.enter_context(TestClient(application()))
        form = {"grant_type": "client_credentials"}
        credentials = (lab.client.client_id, lab.client.client_secret)
        token = http.post("/oauth/token", data=form, auth=credentials).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield Site(http, vendor, channel, partial(report, vendor))


def test_a_message_is_sent_and_then_delivered(site: Site) -> None:
    identity = site.accept()
    assert Sender("worker-one").send_some() == 1
    status, delivery = site.look(identity)
    assert (status, delivery["status"], delivery["attempts"]) == ("SENT", "SENT", 1)
    assert delivery["provider_message_id"]
    assert "hunter2" not in json.dumps(delivery)
    report = site.report("delivered")
    assert site.tell(report) == 204
    status, delivery = site.look(identity)
    assert (status, delivery["status"]) == ("DELIVERED", "DELIVERED")
    assert delivery["delivered_at"]
    assert site.tell(report) == 204  # a replay changes nothing
    assert site.look(identity) == (status, delivery)


def test_a_forged_report_is_refused_and_changes_nothing(site: Site) -> None:
    identity = site.accept()
    Sender("worker-one").send_some()
    report = site.report("delivered")
    # The signature is in one of them, whatever the vendor calls it; Amazon's is in the body.
    spoilt = {name: value[:-6] + "AAAAA=" for name, value in report.headers.items()}
    body = report.body.replace(b'"Signature": "', b'"Signature": "AAAA')
    forged = ReceiptRequest(method="POST", url=report.url, headers=spoilt, body=body)
    assert site.tell(forged) == 403
    assert site.look(identity)[0] == "SENT"


def test_a_throttled_message_waits_as_long_as_the_vendor_asks(site: Site, moving_clock: MovableClock) -> None:
    site.vendor.http.respond = lambda _seen: Reply(429, {}, {"Retry-After": "300"})
    identity = site.accept()
    sender = Sender("worker-one")
    sender.send_some()
    site.vendor.http.respond = site.vendor.respond
    moving_clock.forward(seconds=290)
    sender.send_some()
    assert len(site.vendor.http.seen) == 1
    moving_clock.forward(seconds=200)
    sender.send_some()
    assert len(site.vendor.http.seen) == 2
    assert site.look(identity)[0] == "SENT"


def test_a_refusal_for_good_is_not_tried_again(site: Site, moving_clock: MovableClock) -> None:
    site.vendor.refuse("lab@lab.example" if site.channel == "EMAIL" else "+447700900123")
    identity = site.accept()
    sender = Sender("worker-one")
    sender.send_some()
    moving_clock.forward(hours=2)
    sender.send_some()
    status, delivery = site.look(identity)
    assert (status, delivery["attempts"]) == ("FAILED", 1)
    assert delivery["error"]
    assert len(site.vendor.http.seen) == 1
