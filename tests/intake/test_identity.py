"""The same content from the same service is one notification, however it is written; nothing is sent twice."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from backend.intake import content
from backend.intake.accept import Accepted
from tests.factories import laboratory, notification
from tests.intake.conftest import Counter, at_once


def reversed_members(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: reversed_members(value[name]) for name in reversed(value)}
    return [reversed_members(one) for one in value] if isinstance(value, list) else value


def channel(body: dict[str, Any]) -> dict[str, Any]:
    return dict(body["channels"][0])


SAME: dict[str, Callable[[dict[str, Any]], object]] = {
    "member order": reversed_members,
    "white space": lambda body: json.dumps(body, indent=4).encode() + b"\r\n\t ",
    "no white space": lambda body: json.dumps(body, separators=(",", ":")).encode(),
    "escapes": lambda body: json.dumps(body).replace("sample", "\\u0073ample").encode(),
    "priority left out": lambda body: {"channels": body["channels"]},
    "empty aggregator": lambda body: body | {"aggregator_id": None},
    "recipients for recipient": lambda body: (
        body | {"channels": [{("recipients" if k == "recipient" else k): v for k, v in channel(body).items()}]}
    ),
    "content type left out": lambda body: (
        body | {"channels": [{k: v for k, v in channel(body).items() if k != "content_type"}]}
    ),
    "a recipient named twice": lambda body: body | {"channels": [channel(body) | {"recipient": ["X_LAB", "X_LAB"]}]},
    "another number form": lambda body: json.dumps(body).replace('"run": 7', '"run": 7.0').encode(),
}
OTHER: dict[str, Callable[[dict[str, Any]], object]] = {
    "priority": lambda body: body | {"priority": "HIGH"},
    "content type": lambda body: body | {"channels": [channel(body) | {"content_type": "text"}]},
    "subject": lambda body: body | {"channels": [channel(body) | {"subject": "Another"}]},
    "fields": lambda body: body | {"channels": [channel(body) | {"fields": {"sample_id": "S-2", "run": 7}}]},
    "type of a field": lambda body: body | {"channels": [channel(body) | {"fields": {"sample_id": "S-1", "run": "7"}}]},
    "twice the channel": lambda body: body | {"channels": [channel(body), channel(body)]},
}
BODY = notification(fields={"sample_id": "S-1", "run": 7})


def identity(counter: Counter, body: object) -> UUID:
    return content.read(counter.laboratory.submission(body)).uid


@pytest.mark.parametrize("change", SAME)
def test_the_way_of_writing_does_not_change_the_id(counter: Counter, change: str) -> None:
    first = counter.accepted(BODY)
    before = counter.rows()
    again = counter.accepted(SAME[change](BODY))
    assert (again.notification_id, again.duplicate, again.status) == (first.notification_id, True, "DISPATCHED")
    assert counter.rows() == before


@pytest.mark.parametrize("change", OTHER)
def test_another_meaning_is_another_id(counter: Counter, change: str) -> None:
    assert identity(counter, OTHER[change](BODY)) != identity(counter, BODY)


def test_another_service_has_another_id_for_the_same_content(counter: Counter) -> None:
    other = Counter(laboratory(counter.laboratory.database, "Zoology"))
    assert identity(other, BODY) != identity(counter, BODY)


def test_equal_ones_in_one_group_are_one_new_and_its_duplicates(counter: Counter) -> None:
    outcomes = counter.accept(BODY, notification("S-9"), reversed_members(BODY), BODY)
    assert [one.duplicate for one in outcomes if isinstance(one, Accepted)] == [False, False, True, True]
    assert len({one.notification_id for one in outcomes}) == 2
    assert counter.rows()["deliveries"] == 2


def test_thirty_threads_with_the_same_content_make_one_notification(counter: Counter) -> None:
    outcomes = at_once([lambda: counter.accepted(BODY)] * 30)
    assert sorted(one.duplicate for one in outcomes) == [False] + [True] * 29
    assert len({one.notification_id for one in outcomes}) == 1
    assert counter.rows() == {"notifications": 1, "deliveries": 1, "usage": 1, "events": 0}
    assert counter.usage() == {"EMAIL": 1}


def test_threads_with_overlapping_groups_store_each_content_once(counter: Counter) -> None:
    bodies = [notification(f"S-{number}") for number in range(12)]
    groups = [bodies, bodies[::-1], bodies[:6], bodies[6:], bodies[3:9], bodies[::2]]
    answers = at_once([lambda group=group: counter.accept(*group) for group in groups])
    outcomes = [one for group in answers for one in group]
    assert all(isinstance(one, Accepted) for one in outcomes)
    assert sum(isinstance(one, Accepted) and not one.duplicate for one in outcomes) == 12
    assert counter.rows() == {"notifications": 12, "deliveries": 12, "usage": 1, "events": 0}
    assert counter.usage() == {"EMAIL": 12}
