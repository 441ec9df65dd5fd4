"""Sending, looking up and explaining notifications over HTTP, to the letter of the contract."""

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError

from backend.db import database as db
from backend.delivery import tasks
from tests import factories
from tests.api.conftest import CATALOGUE, Site, is_problem
from tests.conftest import MovableClock
from tests.factories import notification

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
NOBODY = "00000000-0000-8000-8000-000000000000"


def test_a_new_notification_is_answered_202_with_its_id_and_link(site: Site) -> None:
    answer = site.send(notification())
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    identity = UUID(body["notification_id"])
    assert (str(identity), identity.version) == (body["notification_id"], 8)
    link = f"/notifications/v1/{identity}"
    assert body == {"notification_id": str(identity), "status": "DISPATCHED", "links": {"self": link}, "mode": "live"}
    assert site.http.get(link).json()["notification_id"] == str(identity)


def test_the_same_content_again_is_answered_200_as_a_duplicate_and_not_sent_again(site: Site) -> None:
    first = site.send(notification()).json()
    again = site.send({"priority": "NORMAL"} | notification())
    assert again.status_code == 200
    assert again.json() == first | {"duplicate": True}
    assert site.stored() == (1, 1)


def test_a_duplicate_tells_the_present_status(site: Site) -> None:
    site.send(notification())
    tasks.deliver.run(1)
    assert site.send(notification()).json()["status"] == "SENT"
    assert site.stored() == (1, 1)


def test_looking_up_shows_every_member_of_the_contract(site: Site) -> None:
    sent = site.send(notification()).json()
    answer = site.show(sent["notification_id"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    report = answer.json()
    assert {"notification_id", "status", "priority", "aggregator_id"} <= report.keys()
    assert {"created_at", "updated_at", "channels", "events"} <= report.keys()
    assert (report["status"], report["priority"], report["aggregator_id"]) == ("DISPATCHED", "NORMAL", None)
    assert MOMENT.fullmatch(report["created_at"])
    assert MOMENT.fullmatch(report["updated_at"])
    (channel,) = report["channels"]
    (recipient,) = channel.pop("recipients")
    assert channel == {"type": "EMAIL", "template_id": "X_SAMPLE", "template_version": 1}
    (delivery,) = recipient.pop("deliveries")
    assert recipient == {"recipient": "X_LAB"}
    UUID(delivery.pop("id"))
    assert delivery == {
        "address": "lab@lab.example",
        "status": "QUEUED",
        "attempts": 0,
        "provider": None,
        "provider_message_id": None,
        "error": None,
        "sent_at": None,
        "delivered_at": None,
        "segments": None,
        "due_at": None,
        "meant_for": None,
        "language": "en",
        "waits": None,
    }
    assert all(event.keys() == {"at", "what"} and MOMENT.fullmatch(event["at"]) for event in report["events"])
    assert [event["what"] for event in report["events"]] == ["Accepted"]


def test_looking_up_what_was_sent_tells_how(site: Site) -> None:
    sent = site.send(notification()).json()
    tasks.deliver.run(1)
    report = site.show(sent["notification_id"]).json()
    (delivery,) = report["channels"][0]["recipients"][0]["deliveries"]
    assert (report["status"], delivery["status"], delivery["attempts"]) == ("SENT", "SENT", 1)
    assert delivery["provider"] == "outbox"
    assert MOMENT.fullmatch(delivery["sent_at"])
    assert len(report["events"]) == 2
    assert "lab@lab.example" in report["events"][1]["what"]


def test_a_version_stays_the_one_that_was_published_when_it_was_sent(site: Site) -> None:
    first = site.send(notification("S-1")).json()
    site.laboratory.template("X_SAMPLE", "<p>{{ sample_id }} again</p>")
    second = site.send(notification("S-2")).json()
    versions = [site.show(one["notification_id"]).json()["channels"][0]["template_version"] for one in (first, second)]
    assert versions == [1, 2]


@pytest.mark.parametrize("identity", [NOBODY, "1", "explain-me", "%F0%9F%98%80", "x" * 64, NOBODY.replace("-", "")])
def test_an_id_of_nothing_is_404(site: Site, identity: str) -> None:
    is_problem(site.show(identity), 404, "not_found")


def test_another_services_notification_is_404_and_not_listed(site: Site) -> None:
    sent = site.send(notification()).json()
    other = site.authorization(factories.laboratory(site.laboratory.database, "Zoology"))
    theirs = site.show(sent["notification_id"], **other)
    nothing = site.show(NOBODY, **other)
    assert is_problem(theirs, 404, "not_found") == is_problem(nothing, 404, "not_found")
    assert site.http.get("/notifications/v1", headers=other).json() == {"notifications": [], "next_cursor": None}


def test_explaining_shows_the_message_and_stores_nothing(site: Site) -> None:
    site.laboratory.recipient("X_TWO", ("EMAIL", "two@lab.example"), ("SMS", "+447700900123"))
    answer = site.explain(notification(recipient=["X_LAB", "X_TWO"]))
    assert answer.status_code == 200
    explained = answer.json()
    (channel,) = explained.pop("channels")
    assert explained == {
        "notification_id": explained["notification_id"],
        "would": "DISPATCH",
        "mode": "live",
        "errors": [],
    }
    assert "<h1>Sample S-1</h1>" in channel.pop("html")
    assert "Sample S-1" in channel.pop("text")
    assert channel == {
        "type": "EMAIL",
        "template_id": "X_SAMPLE",
        "template_version": 1,
        "language": "en",
        "subject": "A sample has failed",
        "recipients": [
            {"recipient": "X_LAB", "addresses": ["lab@lab.example"]},
            {"recipient": "X_TWO", "addresses": ["two@lab.example"]},
        ],
        "provider": "outbox",
        "sender": "Carillon <carillon@localhost.localdomain>",
    }
    assert site.stored() == (0, 0)
    sent = site.send(notification(recipient=["X_LAB", "X_TWO"])).json()
    assert sent["notification_id"] == explained["notification_id"]


def test_explaining_tells_of_a_message_that_would_be_cut_and_titles_it_by_its_subject(site: Site) -> None:
    source = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>{{ sample_id * 110000 }}</mj-text></mj-column></mj-section>"
    )
    site.laboratory.template("X_LONG", f"{source}</mj-body></mjml>", format="mjml")
    (channel,) = site.explain(
        notification(template_id="X_LONG", subject="Read & wonder", fields={"sample_id": "x"})
    ).json()["channels"]
    assert [one["code"] for one in channel["warnings"]] == ["clipped"]
    assert "<title>Read &amp; wonder</title>" in channel["html"]


def test_explaining_a_text_message_counts_its_parts(site: Site) -> None:
    site.laboratory.recipient("X_TEXTED", ("SMS", "+447700900123"))
    site.laboratory.template("X_TEXT", "Sample {{ sample_id }} – 失敗", format="text")
    body = notification(type="SMS", recipient=["X_TEXTED"], template_id="X_TEXT", content_type="text", subject=...)
    (channel,) = site.explain(body).json()["channels"]
    assert channel["segments"] == {"encoding": "UCS-2", "parts": 1, "characters": 15, "units": 15, "units_left": 55}


def test_explaining_text_shows_no_html(site: Site) -> None:
    (channel,) = site.explain(notification(content_type="text")).json()["channels"]
    assert channel["html"] is None
    assert "Sample S-1" in channel["text"]


def test_explaining_what_was_sent_says_duplicate(site: Site) -> None:
    sent = site.send(notification()).json()
    explained = site.explain(notification()).json()
    assert (explained["would"], explained["notification_id"]) == ("DUPLICATE", sent["notification_id"])
    assert len(explained["channels"]) == 1
    assert site.stored() == (1, 1)


def test_explaining_what_was_sent_says_duplicate_though_its_service_is_switched_off(site: Site) -> None:
    site.send(notification())
    site.switch_off()
    explained = site.explain(notification()).json()
    assert (explained["would"], explained["errors"]) == ("DUPLICATE", [])
    assert site.send(notification()).status_code == 200


def test_explaining_a_batch_says_buffer(site: Site) -> None:
    site.laboratory.template("X_MANY", factories.BATCH_HTML)
    body = notification(priority="BATCH", aggregator_id="run-1", template_id="X_MANY", fields={"sample-id": "S-1"})
    explained = site.explain(body).json()
    assert (explained["would"], explained["errors"]) == ("BUFFER", [])
    assert (explained["batch"]["aggregator_id"], explained["batch"]["members"]) == ("run-1", 1)
    assert MOMENT.fullmatch(explained["batch"]["closes_at"])
    assert site.stored() == (0, 0)


def test_explaining_an_unknown_recipient_says_fail_with_its_pointer(site: Site) -> None:
    explained = site.explain(notification(recipient=["X_NOBODY"])).json()
    assert explained["would"] == "FAIL"
    assert [(one["pointer"], one["code"]) for one in explained["errors"]] == [
        ("/channels/0/recipient/0", "unknown_recipient")
    ]


def test_explaining_malformed_json_is_refused_with_its_place(site: Site) -> None:
    problem = is_problem(site.explain(b'{"channels": [],\n}'), 400, "malformed_json")
    assert "line 2, column 1" in problem["detail"]


def test_every_problem_leads_to_an_entry_of_the_catalogue_that_is_served(site: Site) -> None:
    problem = site.send(b"{").json()
    address, _, anchor = problem["type"].partition("#")
    page = site.http.get(address, headers={"Accept": "text/html"})
    assert (page.status_code, address.endswith(CATALOGUE)) == (200, True)
    assert f'id="{anchor}"' in page.text
    catalogue = site.http.get(CATALOGUE, headers={"Accept": "application/json"}).json()["errors"]
    assert all(f'id="{entry["code"]}"' in page.text for entry in catalogue)


@pytest.mark.parametrize("limited_site", [{"RATE_LIMIT": "3/minute"}], indirect=True)
def test_each_answer_tells_what_is_left_and_the_one_too_many_is_429(
    limited_site: Site, moving_clock: MovableClock
) -> None:
    moving_clock.forward(seconds=15)
    site, left = limited_site, []
    for number in range(3):
        answer = site.send(notification(f"S-{number}"))
        assert answer.status_code == 202
        assert answer.headers["ratelimit-policy"] == '"default";q=3;w=60'
        left.append(answer.headers["ratelimit"])
    assert left == [f'"default";r={number};t=45' for number in (2, 1, 0)]
    refused = site.send(notification("S-9"))
    problem = is_problem(refused, 429, "rate_limited")
    assert problem["notification_status"] == "FAILED"
    again = is_problem(site.send(notification("S-0")), 429, "rate_limited")
    assert again["notification_status"] == "DISPATCHED"  # the one that was accepted has not failed
    assert (refused.headers["retry-after"], refused.headers["ratelimit"]) == ("45", '"default";r=0;t=45')
    assert refused.headers["ratelimit-policy"] == '"default";q=3;w=60'
    assert site.stored() == (4, 3)
    moving_clock.forward(seconds=45)
    report = site.show(problem["notification_id"]).json()
    assert (report["status"], report["problem"]["code"]) == ("FAILED", "rate_limited")
    assert site.send(notification("S-9")).status_code == 202


@pytest.mark.parametrize("limited_site", [{"DAILY_LIMIT": "1"}], indirect=True)
def test_the_daily_limit_is_429_until_midnight_and_read_back_as_failed(
    limited_site: Site, moving_clock: MovableClock
) -> None:
    site = limited_site
    assert site.send(notification("S-1")).status_code == 202
    refused = site.send(notification("S-2"))
    problem = is_problem(refused, 429, "daily_limit_reached")
    assert site.show(problem["notification_id"]).json()["problem"]["code"] == "daily_limit_reached"
    assert refused.headers["retry-after"] == str(15 * 3600)
    assert refused.headers["ratelimit"].startswith('"default";r=')
    assert site.stored() == (2, 1)


UNREACHABLE = {
    "send": lambda site: site.send(notification()),
    "explain": lambda site: site.explain(notification()),
    "show": lambda site: site.show(NOBODY),
    "list": lambda site: site.http.get("/notifications/v1"),
}


@pytest.mark.parametrize("address", UNREACHABLE)
def test_a_database_that_is_away_is_503_with_retry_after(
    site: Site, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    ask: Callable[[Site], Any] = UNREACHABLE[address]
    assert ask(site).status_code in {200, 202, 404}

    def away(_database: db.Database, **_options: bool) -> None:
        raise OperationalError("SELECT", {}, Exception("unable to open database file"))

    with monkeypatch.context() as patched:
        patched.setattr(db.Database, "read", away)
        patched.setattr(db.Database, "autocommit", away)
        patched.setattr(db.Database, "transaction", away)
        answer = ask(site)
    is_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    assert ask(site).status_code in {200, 202, 404}


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_method_that_is_not_answered_is_405_with_allow(site: Site, method: str) -> None:
    answer = site.http.request(method, "/notifications/v1")
    is_problem(answer, 405, "method_not_allowed")
    assert {"GET", "POST"} <= {name.strip() for name in answer.headers["allow"].split(",")}
