"""The batches' addresses over HTTP: what waits, and what can be done with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from litestar import Litestar
from litestar.exceptions import HTTPException
from litestar.testing import TestClient

from backend.accounts.oauth import access_tokens
from backend.api import aggregators, errors, notifications
from backend.api.bodies import MAX_BYTES
from backend.db.database import Database
from backend.delivery.sending.send import Sender
from backend.lib.problems import Problem
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification

LIST = "{% for field in fields %}[{{ field.sample_id }}]{% endfor %}"
SUMMARY = "{% for f in fields %}{{ f.a }}{% endfor %}"


@dataclass
class Harness:
    """The addresses with the tokens of two services."""

    client: TestClient[Litestar]
    mine: Laboratory
    theirs: Laboratory

    def token(self, lab: Laboratory, scopes: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {access_tokens.issue(lab.client.client_id, scopes)}"}

    def call(self, method: str, path: str = "", *, lab: Laboratory | None = None, **options: Any) -> Any:
        """Ask below ``/notifications/v1/aggregators`` and return the answer."""
        headers = self.token(lab or self.mine, options.pop("scopes", "notifications:send notifications:read"))
        return self.client.request(method, f"{aggregators.PATH}{path}", headers=headers, **options)

    def send(self, sample: str, **changes: Any) -> dict[str, Any]:
        values = {"template_id": "X_LIST", "priority": "BATCH", "aggregator_id": "run-1"} | changes
        body = notification(sample, **values)
        headers = self.token(self.mine, "notifications:send")
        answer = self.client.post("/notifications/v1", json=body, headers=headers)
        assert answer.status_code in {200, 202}, answer.text
        return answer.json()

    def status(self, notification_id: str) -> dict[str, Any]:
        headers = self.token(self.mine, "notifications:read")
        return self.client.get(f"/notifications/v1/{notification_id}", headers=headers).json()


@pytest.fixture
def harness(any_database: Database, moving_clock: MovableClock) -> Iterator[Harness]:
    app = Litestar(
        logging_config=None,
        route_handlers=[*notifications.ROUTES, *aggregators.ROUTES],
        exception_handlers={
            Problem: errors.on_problem,
            HTTPException: errors.on_http_exception,
            Exception: errors.on_unexpected,
        },
        openapi_config=None,
        request_max_body_size=MAX_BYTES,
    )
    mine, theirs = laboratory(any_database), laboratory(any_database, "Theirs")
    mine.template("X_LIST", LIST, format="text")
    with TestClient(app) as client:
        yield Harness(client, mine, theirs)


def test_a_batch_notification_is_buffered_and_says_where(harness: Harness) -> None:
    answer = harness.send("S-1")
    assert answer["status"] == "DISPATCHED"
    again = harness.send("S-1")
    assert (again["status"], again["duplicate"], again["notification_id"]) == (
        "BUFFERED",
        True,
        answer["notification_id"],
    )
    report = harness.status(answer["notification_id"])
    (group,) = report["channels"][0]["recipients"]
    assert report["status"] == "BUFFERED"
    assert group["batch"]["aggregator_id"] == "run-1"
    assert group["batch"]["closes_at"] == "2026-03-02T09:01:00Z"
    assert (group["batch"]["members"], group["batch"]["held"], group["deliveries"]) == (1, False, [])


def test_the_list_shows_what_waits_and_is_no_notification_id(harness: Harness) -> None:
    harness.send("S-1")
    harness.send("S-2", subject="Another")
    answer = harness.call("GET")
    assert answer.status_code == 200
    first, second = answer.json()["aggregators"]
    wanted = {
        "aggregator_id": "run-1",
        "channel": "EMAIL",
        "recipient": "X_LAB",
        "template_id": "X_LIST",
        "subject": "A sample has failed",
        "members": 1,
        "opened_at": "2026-03-02T09:00:00Z",
        "closes_at": "2026-03-02T09:01:00Z",
        "held": False,
        "why": "quiet",
    }
    assert {name: first[name] for name in wanted} == wanted
    assert second["subject"] == "Another"
    page = harness.call("GET", "?limit=1").json()
    assert [row["batch_id"] for row in page["aggregators"]] == [first["batch_id"]]
    rest = harness.call("GET", f"?limit=1&cursor={page['next_cursor']}").json()
    assert ([row["batch_id"] for row in rest["aggregators"]], rest["next_cursor"]) == ([second["batch_id"]], None)


def test_an_aggregator_shows_each_member_with_its_fields(harness: Harness) -> None:
    sent = [harness.send(sample)["notification_id"] for sample in ("S-2", "S-1")]
    (batch,) = harness.call("GET", "/run-1").json()["batches"]
    assert batch["members"] == 2
    assert batch["notifications"] == [
        {"sequence": 1, "notification_id": sent[0], "fields": {"sample_id": "S-2"}},
        {"sequence": 2, "notification_id": sent[1], "fields": {"sample_id": "S-1"}},
    ]


def test_flush_sends_now(harness: Harness) -> None:
    sent = harness.send("S-1")["notification_id"]
    answer = harness.call("POST", "/run-1/flush")
    assert answer.status_code == 200
    assert (answer.json()["done"], answer.json()["batches"][0]["status"]) == ("flushed", "DISPATCHED")
    assert Sender("worker").send_some() == 1
    report = harness.status(sent)
    (group,) = report["channels"][0]["recipients"]
    assert (report["status"], group["batch"]["status"], len(group["deliveries"])) == ("SENT", "SENT", 1)
    assert harness.call("POST", "/run-1/flush").status_code == 404
    assert harness.call("GET").json()["aggregators"] == []


def test_hold_and_release(harness: Harness, moving_clock: MovableClock) -> None:
    harness.send("S-1")
    assert harness.call("POST", "/run-1/hold").json()["batches"][0]["held"] is True
    moving_clock.forward(hours=1)
    assert harness.call("GET").json()["aggregators"][0]["held"] is True
    answer = harness.call("POST", "/run-1/release").json()
    assert [(batch["held"], batch["status"]) for batch in answer["batches"]] == [(False, "DISPATCHED")]


def test_a_member_can_be_taken_out_until_its_batch_has_gone(harness: Harness) -> None:
    one, two = (harness.send(sample)["notification_id"] for sample in ("S-1", "S-2"))
    answer = harness.call("DELETE", f"/run-1/members/{one}")
    assert (answer.status_code, answer.json()["status"]) == (200, "CANCELLED")
    assert harness.status(one)["status"] == "CANCELLED"
    assert harness.call("DELETE", f"/run-1/members/{one}").status_code == 404
    harness.call("POST", "/run-1/flush")
    gone = harness.call("DELETE", f"/run-1/members/{two}")
    assert (gone.status_code, gone.json()["code"]) == (409, "batch_gone")


def test_the_preview_is_the_message_as_it_would_go(harness: Harness) -> None:
    for sample in ("S-1", "S-2"):
        harness.send(sample)
    (message,) = harness.call("GET", "/run-1/preview").json()["messages"]
    assert (message["subject"], message["members"]) == ("A sample has failed", 2)
    assert "[S-1][S-2]" in message["html"]
    assert message["text"] == "[S-1][S-2]"
    harness.mine.template("X_LIST", SUMMARY, format="text")
    (broken,) = harness.call("GET", "/run-1/preview").json()["messages"]
    assert "Line 1" in broken["error"]
    assert broken["text"] is None


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "", "notifications:read"),
        ("GET", "/run-1", "notifications:read"),
        ("GET", "/run-1/preview", "notifications:read"),
        ("POST", "/run-1/flush", "notifications:send"),
        ("POST", "/run-1/hold", "notifications:send"),
        ("POST", "/run-1/release", "notifications:send"),
        ("DELETE", "/run-1/members/{id}", "notifications:send"),
    ],
)
def test_scopes_services_and_parameters(harness: Harness, method: str, path: str, scope: str) -> None:
    path = path.format(id=harness.send("S-1")["notification_id"])
    other = "notifications:send" if scope.endswith("read") else "notifications:read"
    assert harness.call(method, path, scopes=other).status_code == 403
    assert harness.client.request(method, f"{aggregators.PATH}{path}").status_code == 401
    assert harness.call(method, f"{path}?surprise=1").status_code == 400
    if path:
        assert harness.call(method, path, lab=harness.theirs).status_code == 404
        assert harness.call(method, path.replace("run-1", "run%00")).status_code == 404
    else:
        assert harness.call(method, lab=harness.theirs).json()["aggregators"] == []
    assert harness.call("GET").json()["aggregators"][0]["members"] == 1


def test_explain_tells_the_batch(harness: Harness, moving_clock: MovableClock) -> None:
    values = {"template_id": "X_LIST", "priority": "BATCH", "aggregator_id": "run-1"}
    headers = harness.token(harness.mine, "notifications:send")

    def explained(sample: str) -> dict[str, Any]:
        body = notification(sample, **values)
        return harness.client.post("/notifications/v1/explain", json=body, headers=headers).json()

    first = explained("S-1")
    assert (first["would"], first["batch"]) == (
        "BUFFER",
        {"aggregator_id": "run-1", "members": 1, "closes_at": "2026-03-02T09:01:00Z"},
    )
    harness.send("S-1")
    moving_clock.forward(seconds=30)
    assert explained("S-2")["batch"] == {"aggregator_id": "run-1", "members": 2, "closes_at": "2026-03-02T09:01:30Z"}
    assert explained("S-1")["would"] == "DUPLICATE"
    assert "batch" not in explained("S-1")
