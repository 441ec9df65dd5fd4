"""The same content, the same key: what is answered as before, what is refused, and what outlives retention."""

from typing import Any

import pytest

from backend.db.models.notifications import Notification, NotificationStatus, PastNotification
from backend.delivery import retention
from tests.api.conftest import Site, is_problem
from tests.conftest import MovableClock
from tests.factories import notification


def keyed(site: Site, key: str, body: Any) -> Any:
    return site.send(body, **{"Idempotency-Key": key})


def test_a_key_takes_the_place_of_the_content(site: Site) -> None:
    without = site.send(notification()).json()
    first = keyed(site, "one", notification())
    assert first.status_code == 202
    assert first.json()["notification_id"] != without["notification_id"]
    again = keyed(site, '"one"', notification())  # the quotes are RFC 8941's
    assert (again.status_code, again.json()["duplicate"]) == (200, True)
    assert again.json()["notification_id"] == first.json()["notification_id"]
    assert keyed(site, "two", notification()).status_code == 202


def test_a_key_that_comes_with_other_content_is_refused(site: Site) -> None:
    first = keyed(site, "one", notification()).json()
    problem = is_problem(keyed(site, "one", notification("S-2")), 422, "idempotency_key_reused")
    assert (problem["notification_id"], problem["notification_status"]) == (first["notification_id"], "DISPATCHED")
    assert keyed(site, "one", notification()).status_code == 200


def test_a_key_whose_content_was_refused_may_come_with_better_content(site: Site) -> None:
    refused = is_problem(keyed(site, "one", notification(recipient=["X_NOBODY"])), 422, "unknown_recipient")
    taken = keyed(site, "one", notification())
    assert (taken.status_code, taken.json()["notification_id"]) == (202, refused["notification_id"])


@pytest.mark.parametrize("key", ["", " ", "a" * 256, '"a\\', "\u00e9"])
def test_a_key_that_cannot_be_used_is_refused(site: Site, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    answer = site.http.post("/notifications/v1", json=notification(), headers=headers)  # type: ignore[arg-type]
    if key == '"a\\':
        assert answer.status_code == 202  # a bare key that begins with a quotation mark
    else:
        assert "Idempotency-Key" in is_problem(answer, 400, "invalid_request")["detail"]


def purge(site: Site, moving_clock: MovableClock) -> None:
    """Let every notification come to its end and past its retention."""
    with site.laboratory.database.transaction() as session:
        for row in session.query(Notification):
            row.status = NotificationStatus.DELIVERED.value if row.accepted_at else row.status
    moving_clock.forward(days=31)
    with site.laboratory.database.transaction() as session:
        assert retention.purge_notifications(session, retention.old_notifications(session)) > 0


def test_a_repeat_is_known_when_the_notification_is_long_gone(site: Site, moving_clock: MovableClock) -> None:
    first = site.send(notification()).json()
    one = keyed(site, "one", notification("S-2")).json()
    refused = site.send(notification(recipient=["X_NOBODY"])).json()
    purge(site, moving_clock)
    assert site.show(first["notification_id"]).status_code == 404
    again = site.send(notification())
    assert (again.status_code, again.json()["notification_id"]) == (200, first["notification_id"])
    assert (again.json()["status"], again.json()["duplicate"]) == ("DELIVERED", True)
    assert keyed(site, "one", notification("S-2")).json()["notification_id"] == one["notification_id"]
    is_problem(keyed(site, "one", notification("S-3")), 422, "idempotency_key_reused")
    assert site.explain(notification()).json()["would"] == "DUPLICATE"
    site.laboratory.recipient("X_NOBODY", ("EMAIL", "somebody@lab.example"))
    late = site.send(notification(recipient=["X_NOBODY"]))  # nothing was ever sent of it
    assert (late.status_code, late.json()["notification_id"]) == (202, refused["notification_id"])


def test_it_is_known_for_as_long_as_is_set(site: Site, moving_clock: MovableClock, monkeypatch: Any) -> None:
    site.send(notification())
    purge(site, moving_clock)
    database = site.laboratory.database
    moving_clock.forward(days=4000)
    with database.transaction() as session:
        retention.purge_repeats(session)
        assert session.query(PastNotification).count() == 1
    monkeypatch.setenv("CARILLON_REPEATS_DAYS", "3999")
    retention.settings.current.cache_clear()
    with database.transaction() as session:
        retention.purge_repeats(session)
        assert session.query(PastNotification).count() == 0
    assert site.send(notification(), **site.authorization(site.laboratory)).status_code == 202
