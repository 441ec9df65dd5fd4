"""Policies: kept by a team, followed by notifications that only name them, and as they were when it was accepted."""

from typing import Any

import pytest
from sqlalchemy import select

from backend.db.models.notifications import Notification
from backend.intake import escalation
from backend.intake.content import read
from backend.intake.explain import explain
from tests.api.conftest import Site, is_problem, site
from tests.conftest import MovableClock

__all__ = ["site"]

POLICIES = "/registry/v1/policies"
NOTIFICATIONS = "/notifications/v1"
BODY: dict[str, Any] = {
    "policy_id": "X_ON_CALL",
    "template_id": "X_SAMPLE",
    "subject": "A sample",
    "fields": {"sample_id": "S-1"},
}
POLICY: dict[str, Any] = {
    "name": "On call",
    "steps": [
        {"after": "0s", "channels": [{"type": "EMAIL", "recipient": ["X_LAB"]}]},
        {"after": "30m", "channels": [{"type": "SMS", "recipient": ["X_DUTY"], "content_type": "text"}]},
    ],
}


@pytest.fixture
def kept(moving_clock: MovableClock, site: Site) -> Site:
    """Give a site whose service has a policy."""
    site.laboratory.recipient("X_DUTY", ("SMS", "+447700900123"))
    assert site.http.put(f"{POLICIES}/X_ON_CALL", json=POLICY).status_code == 201
    return site


def test_a_policy_is_stored_read_listed_and_deleted(kept: Site) -> None:
    shown = kept.http.get(f"{POLICIES}/X_ON_CALL").json()
    assert (shown["identifier"], shown["until"], shown["at_last"]) == ("X_ON_CALL", "acknowledged", "worklist")
    assert shown["steps"] == POLICY["steps"]
    assert kept.http.put(f"{POLICIES}/X_ON_CALL", json=POLICY).json() == shown
    assert kept.http.get(POLICIES).json() == {"policies": [shown], "next_cursor": None}
    assert kept.http.delete(f"{POLICIES}/X_ON_CALL").status_code == 204
    is_problem(kept.http.get(f"{POLICIES}/X_ON_CALL"), 404, "not_found")
    is_problem(kept.send(BODY), 422, "unknown_policy")
    assert kept.http.put(f"{POLICIES}/X_ON_CALL", json=POLICY).status_code == 201
    assert kept.send(BODY).status_code == 202


def test_a_step_chooses_its_sender(kept: Site) -> None:
    kept.laboratory.sender("oncall@localhost.localdomain")
    channel = {"type": "EMAIL", "recipient": ["X_LAB"], "sender": "oncall@localhost.localdomain", "language": "de"}
    chosen = POLICY | {"steps": [{"after": "0s", "channels": [channel]}]}
    assert kept.http.put(f"{POLICIES}/X_ON_CALL", json=chosen).json()["steps"][0]["channels"] == [channel]
    assert kept.send(BODY).status_code == 202
    with kept.laboratory.database.read() as session:
        content = session.scalars(select(Notification.content)).one()
    assert '"sender":"oncall@localhost.localdomain"' in (content or "")
    channel["sender"], channel["reply_to"] = "nobody@localhost.localdomain", "nobody@localhost.localdomain"
    refused = is_problem(kept.http.put(f"{POLICIES}/X_ON_CALL", json=chosen), 422, "unknown_sender")
    assert [one["pointer"] for one in refused["errors"]] == [
        "/steps/0/channels/0/sender",
        "/steps/0/channels/0/reply_to",
    ]


def test_a_policy_that_makes_no_sense_is_refused_where_it_does_not(kept: Site) -> None:
    steps = [POLICY["steps"][1], {"after": "10m", "channels": [{"type": "SMS", "recipient": ["X_LAB", "X_NO"]}]}]
    answer = kept.http.put(f"{POLICIES}/X_OTHER", json=POLICY | {"steps": steps})
    assert answer.status_code == 400
    assert [one["pointer"] for one in answer.json()["errors"]] == [
        "/steps/1/after",
        "/steps/0/after",
        "/steps/1/channels/0/recipient/0",
        "/steps/1/channels/0/recipient/1",
    ]


def test_a_notification_follows_the_policy_of_its_moment(kept: Site, moving_clock: MovableClock) -> None:
    uid = kept.send(BODY).json()["notification_id"]
    changed = POLICY | {"steps": [POLICY["steps"][0]]}
    assert kept.http.put(f"{POLICIES}/X_ON_CALL", json=changed).status_code == 200
    again = kept.send(BODY)
    assert (again.status_code, again.json()["notification_id"]) == (200, uid)
    moving_clock.forward(minutes=30)
    escalation.escalate.run()
    token = {
        "Authorization": f"Bearer {kept.token(kept.laboratory.client.client_id, kept.laboratory.client.client_secret)}"
    }
    told = kept.show(uid, **token).json()
    assert (told["obligation"]["policy_id"], told["obligation"]["state"]) == ("X_ON_CALL", "OPEN")
    assert [step["state"] for step in told["obligation"]["steps"]] == ["SENT", "SENT", "WAITING"]
    assert told["channels"][0]["recipients"][0]["deliveries"][0]["address"] == "lab@lab.example"


def test_the_key_of_a_notification_by_policy_holds_it_to_what_it_said(kept: Site) -> None:
    key = {"Idempotency-Key": "one"}
    assert kept.send(BODY, **key).status_code == 202
    assert kept.send(BODY, **key).status_code == 200
    is_problem(kept.send(BODY | {"fields": {"sample_id": "S-2"}}, **key), 422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("changes", "status", "pointer"),
    [
        ({"policy_id": "X_NONE"}, 422, "/policy_id"),
        ({"template_id": "X_NONE"}, 422, "/template_id"),
        ({"template_id": None}, 400, "/template_id"),
        ({"channels": []}, 400, "/channels"),
        ({"priority": "BATCH", "aggregator_id": "a"}, 400, "/priority"),
        ({"subject": "a\nb"}, 400, "/subject"),
        ({"subject": ...}, 422, "/subject"),
        ({"template_id": ...}, 400, "/template_id"),
    ],
)
def test_what_is_wrong_with_a_notification_by_policy_is_said(
    kept: Site, changes: dict[str, Any], status: int, pointer: str
) -> None:
    body = {name: value for name, value in (BODY | changes).items() if value is not ...}
    answer = kept.send(body)
    assert answer.status_code == status, answer.text
    assert pointer in [one["pointer"] for one in answer.json()["errors"]]


def test_a_notification_by_policy_is_about_its_matter(kept: Site, moving_clock: MovableClock) -> None:
    asked = [BODY | {"matter": "freezer-1"}, BODY | {"matter": "freezer-2", "aggregator_id": "a"}, BODY]
    answers = [kept.send(body) for body in asked]
    assert [answer.status_code for answer in answers] == [202, 202, 202], "the same about two matters is no repeat"
    moving_clock.forward(minutes=30)
    escalation.escalate.run()
    client = kept.laboratory.client
    token = {"Authorization": f"Bearer {kept.token(client.client_id, client.client_secret)}"}
    for matter in ("freezer-1", "freezer-2"):
        told = kept.http.get(f"{NOTIFICATIONS}/matters/{matter}", headers=token).json()
        assert sorted(message["channel"] for message in told["messages"]) == ["EMAIL", "SMS"]
    kept.http.post(f"{NOTIFICATIONS}/matters/freezer-1/resolve", headers=token).raise_for_status()
    states = [kept.show(answer.json()["notification_id"], **token).json() for answer in answers]
    assert [one["matter"] for one in states] == ["freezer-1", "freezer-2", None]
    assert [one["obligation"]["state"] for one in states] == ["CLOSED", "OPEN", "OPEN"]


def test_a_fault_of_several_channels_of_a_policy_is_said_once(kept: Site) -> None:
    kept.http.put(
        "/registry/v1/templates/X_OTHER", json={"name": "x", "format": "text", "source": "{{ other }}"}
    ).raise_for_status()
    refused = is_problem(kept.send(BODY | {"template_id": "X_OTHER"}), 422, "template_arguments")
    assert [one["pointer"] for one in refused["errors"]] == ["/fields"]


def test_explaining_shows_the_plan_of_a_policy(kept: Site) -> None:
    found = explain(read(kept.laboratory.submission(BODY)))
    assert found.errors == []
    assert [one.type for one in found.channels] == ["EMAIL"]
    assert found.obligation is not None
    assert [step.after for step in found.obligation.steps] == ["30m", "1h"]
