"""``send_at`` and cancelling over HTTP."""

from datetime import timedelta

from backend.delivery import tasks as delivery_tasks
from backend.lib import clock
from backend.scheduling import tasks
from tests.api.conftest import NOTIFICATIONS, Site, is_problem
from tests.conftest import MovableClock
from tests.factories import notification


def ahead(**span: float) -> str:
    """Write the moment that is so far ahead."""
    return clock.iso(clock.now() + timedelta(**span))


def test_what_is_scheduled_says_so_everywhere(each_site: Site, moving_clock: MovableClock) -> None:
    site, moment = each_site, "2026-03-02T11:00:00+01:00"
    body = notification(send_at=moment)
    explained = site.explain(body).json()
    assert (explained["would"], explained["send_at"]) == ("SCHEDULE", "2026-03-02T10:00:00Z")
    answer = site.send(body)
    sent = answer.json()
    assert (answer.status_code, sent["status"], sent["send_at"]) == (202, "SCHEDULED", "2026-03-02T10:00:00Z")
    again = site.send(body).json()
    assert (again["status"], again["duplicate"]) == ("SCHEDULED", True)
    moving_clock.forward(minutes=59)
    report = site.show(sent["notification_id"]).json()
    assert (report["status"], report["send_at"], report["due_in_seconds"]) == ("SCHEDULED", sent["send_at"], 60)
    (delivery,) = report["channels"][0]["recipients"][0]["deliveries"]
    assert (delivery["status"], delivery["due_at"]) == ("SCHEDULED", sent["send_at"])
    assert [event["what"] for event in report["events"]] == ["Accepted, to be sent at 2026-03-02 10:00:00 UTC"]
    for more in ({}, {"template_id": "X_SAMPLE"}, {"recipient": "X_LAB"}):
        listed = site.http.get(NOTIFICATIONS, params={"status": "SCHEDULED", **more}).json()["notifications"]
        assert [(one["notification_id"], one["send_at"]) for one in listed] == [
            (sent["notification_id"], sent["send_at"])
        ]
    moving_clock.forward(minutes=1)
    tasks.release_due.run()
    assert site.show(sent["notification_id"]).json()["status"] == "DISPATCHED"
    assert site.http.get(NOTIFICATIONS, params={"status": "SCHEDULED"}).json()["notifications"] == []


def test_each_of_several_has_its_own_moment(site: Site) -> None:
    bodies = [notification("S-1", send_at=ahead(hours=1)), notification("S-2"), notification("S-3", send_at="soon")]
    results = site.post(f"{NOTIFICATIONS}/bulk", {"notifications": bodies}).json()["results"]
    assert [one.get("notification_status") for one in results] == ["SCHEDULED", "DISPATCHED", "FAILED"]
    assert ["send_at" in one for one in results] == [True, False, False]
    assert results[2]["errors"][0]["pointer"] == "/send_at"


def test_cancelling_answers_with_the_notification_and_does_nothing_twice(each_site: Site) -> None:
    site = each_site
    sent = site.send(notification(send_at=ahead(hours=1))).json()
    own = f"{NOTIFICATIONS}/{sent['notification_id']}"
    first, second = site.http.delete(own), site.http.delete(own)
    assert (first.status_code, first.json()["status"]) == (200, "CANCELLED")
    assert (second.status_code, second.json()) == (200, first.json())
    told = [event["what"] for event in first.json()["events"]]
    assert told[-1] == f"Cancelled for lab@lab.example: asked for by {site.laboratory.client.client_id}."


def test_what_has_left_is_not_cancelled(site: Site) -> None:
    site.laboratory.recipient("X_LAB", ("EMAIL", "lab@lab.example"), ("SMS", "+447700900123"))
    (mail,) = notification()["channels"]
    text = {name: value for name, value in mail.items() if name != "subject"} | {"type": "SMS", "content_type": "text"}
    sent = site.send({"channels": [mail, text]}).json()
    own = f"{NOTIFICATIONS}/{sent['notification_id']}"
    assert site.http.delete(own, params={"channel": "SMS"}).json()["deliveries_by_status"] == {
        "CANCELLED": 1,
        "QUEUED": 1,
    }
    from_now = site.show(sent["notification_id"]).json()
    assert from_now["status"] == "DISPATCHED"
    delivery_tasks.deliver.run(1)
    is_problem(site.http.delete(own, params={"channel": "EMAIL"}), 409, "already_sent")
    assert site.http.delete(own).json()["status"] == "SENT"
    is_problem(site.http.delete(own, params={"channel": "SLACK"}), 400, "invalid_request")
    is_problem(site.http.delete(own, params={"channel": "null"}), 400, "invalid_request")
    is_problem(site.http.delete(own, params={"channel": "FAX"}), 400, "invalid_request")


def test_only_who_may_send_cancels_and_only_their_own(site: Site) -> None:
    sent = site.send(notification(send_at=ahead(hours=1))).json()
    own = f"{NOTIFICATIONS}/{sent['notification_id']}"
    reader = site.authorization(site.laboratory, "notifications:read")
    is_problem(site.http.delete(own, headers=reader), 403, "insufficient_scope")
    is_problem(site.http.delete(f"{NOTIFICATIONS}/{'0' * 36}"), 404, "not_found")
    is_problem(site.http.delete(f"{NOTIFICATIONS}/d5ac6f2e-7b8f-8c33-9d0e-2f4e5a0f1b6c"), 404, "not_found")
    assert site.show(sent["notification_id"]).json()["status"] == "SCHEDULED"


def test_what_something_scheduled_needs_is_not_deleted(site: Site) -> None:
    sent = site.send(notification(send_at=ahead(hours=1))).json()
    is_problem(site.http.delete("/registry/v1/templates/X_SAMPLE"), 409, "in_use")
    is_problem(site.http.delete("/registry/v1/recipients/X_LAB"), 409, "in_use")
    site.http.delete(f"{NOTIFICATIONS}/{sent['notification_id']}")
    assert site.http.delete("/registry/v1/templates/X_SAMPLE").status_code == 204
    assert site.http.delete("/registry/v1/recipients/X_LAB").status_code == 204
