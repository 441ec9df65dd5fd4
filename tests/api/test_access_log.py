"""Each request has an id and a line, and the line leads on to the deliveries."""

import logging
import re
from typing import Any

import pytest

from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from tests.api.conftest import NOTIFICATIONS, Site
from tests.factories import notification


def lines(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, Any]]:
    return [entry.__dict__["fields"] for entry in caplog.records if entry.name == name]


@pytest.fixture
def requests(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    caplog.clear()
    return caplog


def test_the_callers_id_comes_back_and_else_a_new_one(site: Site) -> None:
    assert site.http.get("/healthz", headers={"X-Request-ID": "mine-1"}).headers["x-request-id"] == "mine-1"
    made = [site.http.get(path).headers["x-request-id"] for path in ("/healthz", "/nowhere", "/portal/sign-in")]
    assert len(set(made)) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in made)


def test_problems_carry_the_id_in_the_header_alone(site: Site) -> None:
    answer = site.send(b"{", **{"X-Request-ID": "mine-2"})
    assert answer.headers["x-request-id"] == "mine-2"
    assert "mine-2" not in answer.text


def test_a_request_is_followed_from_the_call_to_the_provider_s_answer(
    site: Site, requests: pytest.LogCaptureFixture
) -> None:
    routes.routes.cache_clear()
    sent = site.send(notification()).json()["notification_id"]
    Sender("worker-one").send_some()
    (request,) = lines(requests, "backend.api.middleware")
    assert request.pop("ms") > 0
    assert request == {
        "method": "POST",
        "path": NOTIFICATIONS,
        "status": 202,
        "client_id": site.laboratory.client.client_id,
        "notification": sent,
    }
    (attempt,) = lines(requests, "backend.delivery.sending.telemetry")
    (delivery,) = site.show(sent).json()["channels"][0]["recipients"][0]["deliveries"]
    assert attempt == {
        "delivery": delivery["id"],
        "provider": "outbox",
        "outcome": "accepted",
        "attempt": 1,
        "ms": 0.0,
        "notification": sent,
    }


def test_lines_hold_no_query_no_long_secret_and_nothing_of_the_message(
    site: Site, requests: pytest.LogCaptureFixture
) -> None:
    site.http.get("/nowhere?code=query-secret")
    site.http.get(f"/nowhere/{'a1' * 30}/for/ada@lab.example")
    site.send(notification("field-secret", subject="subject-secret"))
    Sender("worker-one").send_some()
    found = lines(requests, "backend.api.middleware")
    assert [line["path"] for line in found[:2]] == ["/nowhere", "/nowhere/…/for/a…@lab.example"]
    assert [line["status"] for line in found[:2]] == [404, 404]
    text = str(found + lines(requests, "backend.delivery.sending.telemetry"))
    assert "secret" not in text
    assert "lab@lab.example" not in text


def test_what_machines_ask_all_the_time_is_not_told(site: Site, requests: pytest.LogCaptureFixture) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        site.http.get(path)
    assert lines(requests, "backend.api.middleware") == []
