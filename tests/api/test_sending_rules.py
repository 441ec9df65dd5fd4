"""Windows, mutes and throttles over HTTP: what is set is answered, and what cannot be is told in a sentence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from backend.db.models.audit import AuditEntry
from backend.lib import clock
from tests.api.conftest import Site

HOURS = {"days": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "until": "18:00"}
WINDOW = {"hours": [HOURS], "zone": "Europe/London", "holidays": ["GB-ENG", "2026-12-24"], "except_high": True}
ADDRESSES = ["settings", "templates/X_SAMPLE", "recipients/X_LAB"]


@pytest.mark.parametrize("subject", ADDRESSES)
def test_a_window_is_set_shown_and_taken_away(site: Site, subject: str) -> None:
    address = f"/registry/v1/{subject}/sending-rules"
    assert site.http.get(address).json() == {
        "window": None,
        "mute": None,
        "throttle": None,
        "worklist_ticket": None,
        "equal_texts": None,
    }
    answer = site.http.put(address, json={"window": WINDOW})
    assert answer.status_code == 200, answer.text
    shown = site.http.get(address).json()["window"]
    assert {name: shown[name] for name in WINDOW} == WINDOW
    assert shown.keys() - WINDOW.keys() == {"open", "next_open"}
    assert site.http.put(address, json={}).json()["window"] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"zone": "Europe/Londen"}, "There is no time zone 'Europe/Londen'"),
        ({"hours": []}, "at least 1"),
        ({"hours": [HOURS | {"start": "8am"}]}, "start"),
        ({"hours": [HOURS | {"days": ["monday"]}]}, "days"),
        ({"holidays": ["XZ"]}, "The public holidays of XZ are not known here"),
        ({"holidays": ["2026-02-30"]}, "There is no day 2026-02-30"),
        ({"weekdays": True}, "weekdays"),
    ],
)
def test_what_is_no_window_is_refused_with_a_sentence(site: Site, change: dict[str, Any], said: str) -> None:
    answer = site.http.put("/registry/v1/settings/sending-rules", json={"window": WINDOW | change})
    assert answer.status_code == 400
    assert said in answer.text


def test_windows_that_never_open_together_are_refused(site: Site) -> None:
    early, late = HOURS | {"until": "09:00"}, HOURS | {"start": "09:00"}
    assert (
        site.http.put("/registry/v1/settings/sending-rules", json={"window": WINDOW | {"hours": [early]}}).status_code
        == 200
    )
    answer = site.http.put("/registry/v1/templates/X_SAMPLE/sending-rules", json={"window": WINDOW | {"hours": [late]}})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/window")
    assert "is never open while that of the service" in answer.json()["detail"]


@pytest.mark.parametrize("subject", ADDRESSES[1:])
def test_a_mute_is_set_lifted_and_written_down(site: Site, subject: str) -> None:
    address, until = f"/registry/v1/{subject}/mute", clock.now() + timedelta(hours=5)
    answer = site.http.put(address, json={"until": clock.iso(until), "reason": "On leave", "drop_older_than": "2h"})
    assert answer.status_code == 200, answer.text
    shown = site.http.get(f"/registry/v1/{subject}/sending-rules").json()["mute"]
    assert (shown["reason"], shown["drop_older_than"], shown["except_high"]) == ("On leave", "2h", False)
    assert datetime.fromisoformat(shown["until"]) == until.astimezone(UTC)
    assert shown["by"] == site.laboratory.client.client_id
    assert [site.http.delete(address).status_code for _ in range(2)] == [204, 204]
    assert site.http.get(f"/registry/v1/{subject}/sending-rules").json()["mute"] is None
    kind = subject.partition("/")[0].rstrip("s")
    with site.laboratory.database.read() as session:
        actions = session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)).all()
    assert list(actions)[-2:] == [f"{kind}.muted", f"{kind}.mute_lifted"]


def test_a_throttle_is_set_and_tells_what_it_lacks(site: Site) -> None:
    address = "/registry/v1/templates/X_SAMPLE/sending-rules"
    throttle = {"most": 1, "per": "1h", "then": "refuse"}
    shown = site.http.put(address, json={"throttle": throttle}).json()["throttle"]
    assert shown == throttle | {"digest_template": None, "except_high": False}
    for wrong in ({"most": 0}, {"per": "1s"}, {"then": "digest"}, {"digest_template": "X_SAMPLE"}):
        assert site.http.put(address, json={"throttle": throttle | wrong}).status_code == 400
    assert site.http.put("/registry/v1/recipients/X_LAB/sending-rules", json={"throttle": throttle}).status_code == 400
    gone = throttle | {"then": "digest", "digest_template": "X_GONE"}
    assert "No template 'X_GONE'" in site.http.put(address, json={"throttle": gone}).json()["detail"]
