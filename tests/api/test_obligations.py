"""Obligations over HTTP: acknowledged by client systems, and the worklist read by them."""

from uuid import uuid4

from backend.intake import escalation
from tests.api.conftest import NOTIFICATIONS, Site, is_problem
from tests.conftest import MovableClock
from tests.factories import laboratory, notification

OWING = notification() | {
    "obligation": {"until": "acknowledged", "steps": [{"after": "30m", "channels": notification("S-2")["channels"]}]}
}


def test_a_client_acknowledges_and_the_status_says_so(site: Site) -> None:
    uid = site.send(OWING).json()["notification_id"]
    assert site.show(uid).json()["obligation"]["state"] == "OPEN"
    answer = site.post(f"{NOTIFICATIONS}/{uid}/acknowledge", {"by": "Ada Lovelace"})
    assert answer.status_code == 200, answer.text
    told = site.show(uid).json()["obligation"]
    assert answer.json() == {"notification_id": uid, "obligation": told}
    assert (told["state"], told["met_by"], told["met_through"], told["next_at"]) == ("MET", "Ada Lovelace", "API", None)
    assert [step["state"] for step in told["steps"]] == ["SENT", "CANCELLED", "CANCELLED"]
    again = site.http.post(f"{NOTIFICATIONS}/{uid}/acknowledge")
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert again.json()["obligation"] == told


def test_what_cannot_be_acknowledged_says_why(site: Site) -> None:
    plain = site.send(notification()).json()["notification_id"]
    assert site.show(plain).json()["obligation"] is None
    is_problem(site.post(f"{NOTIFICATIONS}/{plain}/acknowledge", {}), 409, "no_obligation")
    for unknown in (uuid4(), "nothing"):
        is_problem(site.post(f"{NOTIFICATIONS}/{unknown}/acknowledge", {}), 404, "not_found")
    uid = site.send(OWING).json()["notification_id"]
    for body in ({"by": ""}, {"by": 7}, {"by": "a\nb"}, {"who": "Ada"}, [], b"{"):
        assert site.post(f"{NOTIFICATIONS}/{uid}/acknowledge", body).status_code == 400
    other = site.authorization(laboratory(site.laboratory.database, "Freezers"))
    is_problem(site.post(f"{NOTIFICATIONS}/{uid}/acknowledge", {}, **other), 404, "not_found")
    reader = site.authorization(site.laboratory, "notifications:read")
    is_problem(site.post(f"{NOTIFICATIONS}/{uid}/acknowledge", {}, **reader), 403, "insufficient_scope")
    assert site.show(uid).json()["obligation"]["state"] == "OPEN"


def test_a_client_closes_with_a_reason_and_the_rest_is_refused(site: Site) -> None:
    uid = site.send(OWING).json()["notification_id"]
    path = f"{NOTIFICATIONS}/{uid}/close"
    for body in ({}, {"reason": ""}, {"reason": " "}, {"reason": "x" * 1001}, {"reason": "x", "by": "a\nb"}, [], b"{"):
        assert site.post(path, body).status_code == 400, body
    plain = site.send(notification()).json()["notification_id"]
    is_problem(site.post(f"{NOTIFICATIONS}/{plain}/close", {"reason": "Repaired"}), 409, "no_obligation")
    is_problem(site.post(f"{NOTIFICATIONS}/{uuid4()}/close", {"reason": "Repaired"}), 404, "not_found")
    other = site.authorization(laboratory(site.laboratory.database, "Freezers"))
    is_problem(site.post(path, {"reason": "Repaired"}, **other), 404, "not_found")
    assert site.show(uid).json()["obligation"]["state"] == "OPEN"

    answer = site.post(path, {"reason": "Repaired on site.", "by": "Ada Lovelace"})
    told = site.show(uid).json()
    assert (answer.status_code, answer.json()) == (200, {"notification_id": uid, "obligation": told["obligation"]})
    closed = {name: told["obligation"][name] for name in ("state", "closed_by", "closed_through", "closed_reason")}
    assert closed == {
        "state": "CLOSED",
        "closed_by": "Ada Lovelace",
        "closed_through": "API",
        "closed_reason": "Repaired on site.",
    }
    assert [step["state"] for step in told["obligation"]["steps"]] == ["SENT", "CANCELLED", "CANCELLED"]
    assert any("closed by Ada Lovelace: Repaired on site." in event["what"] for event in told["events"])
    again = site.post(path, {"reason": "Another"}).json()
    assert (again["duplicate"], again["obligation"]["closed_reason"]) == (True, "Repaired on site.")
    is_problem(site.post(f"{NOTIFICATIONS}/{uid}/acknowledge", {}), 409, "obligation_closed")


def test_the_worklist_has_what_nobody_answered_by_pages(moving_clock: MovableClock, site: Site) -> None:
    uids = [site.send(OWING | {"aggregator_id": name}).json()["notification_id"] for name in ("a", "b", "c")]
    for _ in range(2):
        moving_clock.forward(minutes=30)
        escalation.escalate.run()
    token = {"Authorization": f"Bearer {site.token(*_client(site))}"}
    first = site.http.get(f"{NOTIFICATIONS}/worklist?limit=2", headers=token).json()
    rest = site.http.get(f"{NOTIFICATIONS}/worklist?cursor={first['next_cursor']}", headers=token).json()
    found = first["worklist"] + rest["worklist"]
    assert [one["notification_id"] for one in found] == uids
    assert {one["obligation"]["state"] for one in found} == {"WORKLIST"}
    assert rest["next_cursor"] is None
    site.post(f"{NOTIFICATIONS}/{uids[0]}/acknowledge", {"by": "Ada"}, **token)
    left = site.http.get(f"{NOTIFICATIONS}/worklist", headers=token).json()["worklist"]
    assert [one["notification_id"] for one in left] == uids[1:]
    other = site.authorization(laboratory(site.laboratory.database, "Freezers"))
    assert site.http.get(f"{NOTIFICATIONS}/worklist", headers=other).json()["worklist"] == []


def _client(site: Site) -> tuple[str, str]:
    return site.laboratory.client.client_id, site.laboratory.client.client_secret
