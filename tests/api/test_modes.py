"""One client program, whatever the mode of its client is: the same answers, and a mode to tell them apart by."""

import re
from typing import Any

import pytest

from backend.delivery import tasks
from backend.delivery.outcomes import receipt_tasks
from tests.api.conftest import Site, is_problem
from tests.factories import notification

# What differs between any two runs, and what says of which mode a run was.
_VARIES = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT[\d:.]+Z")


def _authorization(site: Site, mode: str) -> dict[str, str]:
    client = site.laboratory.another(mode)
    return {"Authorization": f"Bearer {site.token(client.client_id, client.client_secret)}"}


def _program(site: Site, headers: dict[str, str]) -> list[Any]:
    """Do what a client does: send, repeat, be refused, send many, look up, list."""
    sent = site.send(notification(recipient=["X_SIM"]), **headers)
    answers = [
        site.explain(notification("S-0", recipient=["X_SIM"]), **headers),
        sent,
        site.send(notification(recipient=["X_SIM"]), **headers),
        site.send(notification(recipient=["X_NOBODY"]), **headers),
        site.send(b'{"channels": [},', **headers),
        site.post("/notifications/v1/bulk", {"notifications": [notification("S-2", recipient=["X_SIM"])]}, **headers),
    ]
    tasks.deliver.run(1)
    receipt_tasks.reconcile.run()
    answers.append(site.show(sent.json()["notification_id"], **headers))
    return [(one.status_code, one.json()) for one in answers]


def _alike(answers: list[Any]) -> str:
    text = _VARIES.sub("…", repr(answers))
    return re.sub(r"'mode': '\w+'", "'mode': '…'", text)


def test_the_same_program_gets_the_same_answers_in_every_mode(site: Site) -> None:
    site.laboratory.recipient("X_SIM", ("EMAIL", "delivered@simulator.invalid"))
    runs = {mode: _program(site, _authorization(site, mode)) for mode in ("live", "team", "test")}
    assert runs["live"][-1][1]["status"] == "DELIVERED"
    for mode, answers in runs.items():
        assert answers[1][0] == 202
        assert {body["mode"] for _, body in answers if "mode" in body} == {mode}
        # Where a live message would go by a provider, or the outbox, a test says what stands in for that.
        for run in (answers[0][1]["channels"], runs["live"][0][1]["channels"]):
            run[0]["provider"] = "…"
        assert _alike(answers) == _alike(runs["live"])


def test_lists_tell_the_mode_and_filter_by_it(site: Site) -> None:
    for mode in ("live", "test"):
        assert site.send(notification(), **_authorization(site, mode)).status_code == 202
    every = site.http.get("/notifications/v1").json()["notifications"]
    assert sorted(one["mode"] for one in every) == ["live", "test"]
    (one,) = site.http.get("/notifications/v1", params={"mode": "test"}).json()["notifications"]
    assert one["mode"] == "test"
    is_problem(site.http.get("/notifications/v1", params={"mode": "other"}), 400, "invalid_request")


@pytest.mark.parametrize("redirect", ["#uat", "uat@lab.example"])
def test_where_a_message_was_redirected_to_is_told(site: Site, redirect: str) -> None:
    client = site.laboratory.another("live", redirect)
    headers = {"Authorization": f"Bearer {site.token(client.client_id, client.client_secret)}"}
    sent = site.send(notification(), **headers).json()
    (delivery,) = site.show(sent["notification_id"]).json()["channels"][0]["recipients"][0]["deliveries"]
    assert (delivery["address"], delivery["meant_for"]) == (redirect, "lab@lab.example")


def test_the_document_lists_the_simulator(site: Site) -> None:
    text = site.http.get("/docs/openapi.json").json()["info"]["description"]
    assert "| `bounced@simulator.invalid` | `+447700900002` |" in text
