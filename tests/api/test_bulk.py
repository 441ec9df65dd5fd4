"""Many notifications in one request: each validated alone, answered in order, by the rules of the single call."""

import json
from typing import Any

import pytest
from httpx import Response

from backend.lib.problems import Problem
from tests.api.conftest import Site, is_problem
from tests.factories import notification

BULK = "/notifications/v1/bulk"


def send(site: Site, *bodies: object) -> list[dict[str, Any]]:
    answer = site.post(BULK, {"notifications": bodies})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


def test_each_is_validated_alone_and_answered_in_its_order(each_site: Site) -> None:
    before = each_site.send(notification("S-0")).json()
    bodies = [
        notification("S-1"),
        notification("S-0"),
        notification(recipient=["X_NOBODY"]),
        notification("S-1"),
        {"channels": None},
        None,
        notification("S-2", priority="HIGH"),
    ]
    results = send(each_site, *bodies)
    assert [one["status"] for one in results] == [202, 200, 422, 200, 400, 400, 202]
    new, again = results[0], results[1]
    address = f"/notifications/v1/{new['notification_id']}"
    assert new == {
        "status": 202,
        "notification_id": new["notification_id"],
        "notification_status": "DISPATCHED",
        "links": {"self": address},
        "mode": "live",
    }
    assert (again["notification_id"], again["duplicate"]) == (before["notification_id"], True)
    assert results[3]["notification_id"] == new["notification_id"]
    assert each_site.http.get(address).json()["status"] == "DISPATCHED"
    assert each_site.stored() == (6, 3)


FAULTY: dict[str, object] = {
    "unknown recipient": notification(recipient=["X_NOBODY"]),
    "unknown member": notification() | {"urgent": True},
    "null for an object": None,
    "fields null": notification(fields=None),
    "a list": [],
    "a missing argument": notification(fields={}),
    "half a character": json.loads('{"channels": "\\ud800"}'),
    "a number beyond all": {"channels": 10**400},
    "a fraction": notification(fields={"sample_id": 1.5}, template_id="X_NONE"),
}


@pytest.mark.parametrize("case", FAULTY)
def test_a_refused_one_has_the_problem_of_the_single_call(site: Site, case: str) -> None:
    body = json.dumps(FAULTY[case]).encode()
    (result,) = site.post(BULK, b'{"notifications": [%s]}' % body).json()["results"]
    assert result == site.send(body).json()
    assert result["status"] >= 400


BODIES: dict[str, tuple[bytes, str, str]] = {
    "trailing comma": (b'{"notifications": [\n{},]}', "malformed_json", "line 2, column 4"),
    "bad text in one": (b'{"notifications": ["\x01"]}', "malformed_json", "line 1, column 21"),
    "bottomless": (b'{"notifications": ' + b"[" * 100_000, "malformed_json", "64 levels"),
    "twice": (b'{"notifications": [{}], "notifications": [{}]}', "duplicate_member", "stands twice"),
    "none": (b'{"notifications": []}', "invalid_request", "at least 1"),
    "101": (b'{"notifications": [%s]}' % b",".join([b"{}"] * 101), "invalid_request", "at most 100"),
    "another member": (b'{"notifications": [{}], "x": 1}', "invalid_request", "not known"),
    "missing": (b"{}", "invalid_request", "missing"),
    "null": (b'{"notifications": null}', "invalid_request", "array"),
    "one notification": (json.dumps(notification()).encode(), "invalid_request", "/notifications"),
    "a list": (b"[]", "invalid_request", "object"),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_is_no_bulk_is_refused_whole(site: Site, case: str) -> None:
    body, code, words = BODIES[case]
    problem = is_problem(site.post(BULK, body), 400, code)
    assert words in problem["detail"] + str(problem["errors"])
    assert site.stored() == (0, 0)


def test_one_with_a_doubled_member_harms_no_other(site: Site) -> None:
    doubled = b'{"channels": [], "channels": []}'
    body = b'{"notifications": [%s, %s]}' % (json.dumps(notification()).encode(), doubled)
    results = site.post(BULK, body).json()["results"]
    assert [one.get("code") for one in results] == [None, "duplicate_member"]


@pytest.mark.parametrize("limited_site", [{"RATE_LIMIT": "5/minute"}], indirect=True)
def test_each_counts_against_the_rate_limit(limited_site: Site, moving_clock: object) -> None:
    site = limited_site
    answer = site.post(BULK, {"notifications": [notification(f"S-{number}") for number in range(7)]})
    results = answer.json()["results"]
    assert [one["status"] for one in results] == [202] * 5 + [429] * 2
    assert {one["code"] for one in results[5:]} == {"rate_limited"}
    assert [one["notification_status"] for one in results[5:]] == ["FAILED"] * 2
    assert answer.headers["ratelimit"].startswith('"default";r=0;t=')
    is_problem(site.post(BULK, {"notifications": [notification("S-9")]}), 429, "rate_limited")
    assert site.stored() == (7, 5)


@pytest.mark.parametrize("path", [BULK, f"{BULK}/"], ids=["short way", "framework's way"])
def test_it_needs_the_scope_json_and_a_body_within_the_limit(site: Site, path: str) -> None:
    body = json.dumps({"notifications": [notification()]}).encode()
    reader = site.authorization(site.laboratory, "notifications:read")
    is_problem(site.post(path, body, **reader), 403, "insufficient_scope")
    is_problem(site.post(path, body, Authorization=""), 401, "unauthenticated")
    is_problem(site.post(path, body, **{"Content-Type": "text/plain"}), 415, "unsupported_media_type")
    is_problem(site.post(path, body.ljust(1024 * 1024 + 1)), 413, "too_large")
    assert site.post(path, body).status_code == 200


def told(answer: Response) -> tuple[int, dict[str, str], Any]:
    """Take what a client sees of an answer, without what differs from request to request."""
    headers = {name: value for name, value in answer.headers.items() if name not in {"x-request-id", "ratelimit"}}
    return answer.status_code, headers, answer.json()


@pytest.mark.parametrize("path", ["/notifications/v1", BULK])
def test_both_ways_write_the_same_answers(
    site: Site, path: str, monkeypatch: pytest.MonkeyPatch, moving_clock: object
) -> None:
    bodies: list[object] = [notification("S-1"), notification(recipient=["X_NOBODY"]), b"{", b"[]", b""]
    if path == BULK:
        bodies = [{"notifications": [body]} if not isinstance(body, bytes) else body for body in bodies]
    site.post(path, bodies[0])  # a duplicate from now on
    for body in bodies:
        assert told(site.post(path, body)) == told(site.post(f"{path}/", body))

    def fail(_submissions: object, _wake: object) -> None:
        raise Problem("unavailable", "Away.", headers={"Retry-After": "5"})

    monkeypatch.setattr("backend.intake.admission.accept_group", fail)
    direct, whole = told(site.post(path, bodies[0])), told(site.post(f"{path}/", bodies[0]))
    assert direct == whole
    assert (direct[0], direct[1]["retry-after"]) == (503, "5")


def keyed(site: Site, key: str, *bodies: object) -> Response:
    return site.post(BULK, {"notifications": bodies}, **{"Idempotency-Key": key})


def identities(answer: Response) -> list[str]:
    return [one["notification_id"] for one in answer.json()["results"]]


def test_a_key_is_that_of_all_of_them(each_site: Site) -> None:
    bodies = [notification("S-1"), notification("S-2"), notification(recipient=["X_NOBODY"])]
    plain = send(each_site, *bodies)
    first = keyed(each_site, "one", *bodies)
    assert [one["status"] for one in first.json()["results"]] == [202, 202, 422]
    assert not {one["notification_id"] for one in plain} & set(identities(first))  # the same content, sent anew
    again = keyed(each_site, '"one"', *({"priority": "NORMAL"} | one for one in bodies))  # a default spelled out
    assert [one["status"] for one in again.json()["results"]] == [200, 200, 422]
    assert [one.get("duplicate", False) for one in again.json()["results"]] == [True, True, False]
    assert identities(again) == identities(first)
    assert set(identities(keyed(each_site, "two", *bodies))).isdisjoint(identities(first))


@pytest.mark.parametrize(
    "other",
    [
        [notification("S-1")],
        [notification("S-2"), notification("S-1")],
        [notification("S-1"), notification("S-3")],
        [notification("S-1"), notification("S-2"), notification("S-3")],
    ],
    ids=["fewer", "in another order", "another one", "more"],
)
def test_a_key_that_comes_with_others_is_refused_as_a_whole(each_site: Site, other: list[object]) -> None:
    keyed(each_site, "one", notification("S-1"), notification("S-2"))
    before = each_site.stored()
    is_problem(keyed(each_site, "one", *other), 422, "idempotency_key_reused")
    assert each_site.stored() == before


def test_equal_ones_under_one_key_are_one(site: Site) -> None:
    results = keyed(site, "one", notification("S-1"), notification("S-1")).json()["results"]
    assert [one["status"] for one in results] == [202, 200]


def test_a_single_ones_key_is_another_than_that_of_several(site: Site) -> None:
    single = site.send(notification("S-1"), **{"Idempotency-Key": "one"}).json()["notification_id"]
    answer = keyed(site, "one", notification("S-1"))
    assert (answer.status_code, answer.json()["results"][0]["status"]) == (200, 202)
    assert identities(answer) != [single]


@pytest.mark.parametrize("key", ["", "a" * 256])
def test_a_key_that_cannot_be_used_is_refused_before_anything_is_taken(site: Site, key: str) -> None:
    assert "Idempotency-Key" in is_problem(keyed(site, key, notification()), 400, "invalid_request")["detail"]
    assert site.stored() == (0, 0)
