"""Listing notifications: every filter, pages that stay in place while new ones come, and bad parameters."""

from collections.abc import Iterator
from typing import Any

import pytest

from backend.delivery import tasks
from backend.intake.accept import accept_many
from tests import factories
from tests.api.conftest import NOTIFICATIONS, Site, is_problem
from tests.conftest import MovableClock
from tests.factories import notification

PATH = "/notifications/v1"


def listed(site: Site, **parameters: object) -> list[dict[str, Any]]:
    answer = site.http.get(PATH, params=parameters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["notifications"])


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["notification_id"] for row in rows]


def sent(site: Site, *bodies: object) -> list[str]:
    return [site.send(body).json()["notification_id"] for body in bodies]


def pages(site: Site, **parameters: object) -> Iterator[list[dict[str, Any]]]:
    cursor: str | None = None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        answer = site.http.get(PATH, params=parameters | more).json()
        yield answer["notifications"]
        cursor = answer["next_cursor"]
        if cursor is None:
            return


def test_the_newest_come_first_with_every_member(site: Site, moving_clock: MovableClock) -> None:
    (first,) = sent(site, notification("S-1", priority="HIGH"))
    moving_clock.forward(seconds=1.5)
    answer = site.send(notification(template_id="X_UNKNOWN")).json()
    second, refused = answer["notification_id"], answer["detail"]
    assert listed(site) == [
        {
            "notification_id": second,
            "status": "FAILED",
            "mode": "live",
            "priority": "NORMAL",
            "aggregator_id": None,
            "created_at": "2026-03-02T09:00:01.500000Z",
            "updated_at": "2026-03-02T09:00:01.500000Z",
            "send_at": None,
            "subject": "A sample has failed",
            "address": None,
            "addresses_total": 0,
            "error": refused,
            "links": {"self": f"{PATH}/{second}"},
        },
        {
            "notification_id": first,
            "status": "DISPATCHED",
            "mode": "live",
            "priority": "HIGH",
            "aggregator_id": None,
            "created_at": "2026-03-02T09:00:00Z",
            "updated_at": "2026-03-02T09:00:00Z",
            "send_at": None,
            "subject": "A sample has failed",
            "address": "lab@lab.example",
            "addresses_total": 1,
            "error": None,
            "links": {"self": f"{PATH}/{first}"},
        },
    ]


def test_each_filter_chooses_by_its_own_member(each_site: Site) -> None:
    site = each_site
    site.laboratory.recipient("X_LAB2", ("EMAIL", "two@lab.example"))
    site.laboratory.template("X_OTHER")
    site.laboratory.template("X_MANY", factories.BATCH_HTML)
    done, high, other, failed, batch = sent(
        site,
        notification("S-1"),
        notification("S-2", priority="HIGH", recipient=["X_LAB", "X_LAB2"]),
        notification("S-3", template_id="X_OTHER"),
        notification("S-4", template_id="X_UNKNOWN"),
        notification(priority="BATCH", aggregator_id="run:1", template_id="X_MANY", fields={"sample-id": "S-5"}),
    )
    assert ids(listed(site)) == [batch, failed, other, high, done]
    assert ids(listed(site, priority="HIGH")) == [high]
    assert ids(listed(site, priority="BATCH")) == [batch]
    assert ids(listed(site, aggregator_id="run:1")) == [batch]
    assert ids(listed(site, status="FAILED")) == [failed]
    assert ids(listed(site, status="BUFFERED")) == [batch]
    assert ids(listed(site, status="DISPATCHED")) == [other, high, done]
    assert ids(listed(site, recipient="X_LAB2")) == [high]
    assert ids(listed(site, recipient="X_LAB")) == [batch, failed, other, high, done]
    assert ids(listed(site, template_id="X_OTHER")) == [other]
    assert ids(listed(site, template_id="X_MANY")) == [batch]
    assert ids(listed(site, template_id="X_UNKNOWN")) == [failed]
    assert ids(listed(site, template_id="X_SAMPLE", recipient="X_LAB", priority="NORMAL")) == [done]
    for nothing in ({"aggregator_id": "run"}, {"recipient": "X_LA"}, {"recipient": '"'}, {"template_id": "X_%"}):
        assert listed(site, **nothing) == []
    tasks.deliver.run(1)
    assert ids(listed(site, status="SENT")) == [other, high, done]


def test_created_from_is_inclusive_and_created_to_is_not(each_site: Site, moving_clock: MovableClock) -> None:
    site = each_site
    made = []
    for number in range(3):
        made += sent(site, notification(f"S-{number}"))
        moving_clock.forward(minutes=1)
    one, two = "2026-03-02T09:01:00Z", "2026-03-02T09:02:00Z"
    assert ids(listed(site, created_from=one)) == [made[2], made[1]]
    assert ids(listed(site, created_to=one)) == [made[0]]
    assert ids(listed(site, created_from=one, created_to=two)) == [made[1]]
    assert ids(listed(site, created_from="2026-03-02T11:02:00+02:00")) == [made[2]]
    assert listed(site, created_from=two, created_to=one) == []


def test_pages_stay_in_place_while_new_ones_come(each_site: Site) -> None:
    site = each_site
    made = sent(site, *(notification(f"S-{number}") for number in range(7)))
    seen: list[list[str]] = []
    for number, rows in enumerate(pages(site, limit=3)):
        seen.append(ids(rows))
        sent(site, notification(f"later {number}"))
    assert seen == [made[:3:-1], made[3:0:-1], made[:1]]


def test_pages_of_a_filter_hold_only_what_it_chooses(site: Site) -> None:
    made = sent(site, *(notification(f"S-{n}", priority=("HIGH", "NORMAL")[n % 2]) for n in range(8)))
    seen = [ids(rows) for rows in pages(site, limit=2, priority="HIGH")]
    assert seen == [[made[6], made[4]], [made[2], made[0]]]


def test_the_limit_is_50_unless_it_is_named(site: Site) -> None:
    accept_many([site.laboratory.submission(notification(f"S-{n}")) for n in range(51)], lambda _: None)
    assert [len(rows) for rows in pages(site)] == [50, 1]
    assert [len(rows) for rows in pages(site, limit=100)] == [51]


def test_a_cursor_of_one_service_shows_another_nothing_of_it(site: Site) -> None:
    sent(site, *(notification(f"S-{number}") for number in range(3)))
    cursor = site.http.get(PATH, params={"limit": 1}).json()["next_cursor"]
    other = site.authorization(factories.laboratory(site.laboratory.database, "Zoology"))
    answer = site.http.get(PATH, params={"cursor": cursor}, headers=other)
    assert answer.json() == {"notifications": [], "next_cursor": None}


BAD = [
    ("status", "sent"),
    ("status", "QUEUED"),
    ("status", ""),
    ("priority", "URGENT"),
    ("template_id", "X" * 65),
    ("template_id", "X_\x00"),
    ("recipient", "X" * 65),
    ("recipient", "X\nY"),
    ("aggregator_id", "a" * 1025),
    ("aggregator_id", "a\x00"),
    ("q", "a" * 201),
    ("q", "a\x00b"),
    ("q", "a\nb"),
    ("address", "a" * 2049),
    ("address", "a\x00"),
    ("created_from", "yesterday"),
    ("created_from", "2026-03-02T09:00:00"),
    ("created_from", "1772442000"),
    ("created_to", "0.5"),
    ("created_from", "2026-02-30T09:00:00Z"),
    ("created_from", "0001-01-01T00:00:00+14:00"),
    ("created_to", "9999-12-31T23:59:59-14:00"),
    ("created_to", "9" * 30),
    ("limit", "0"),
    ("limit", "101"),
    ("limit", "-1"),
    ("limit", "ten"),
    ("limit", "1.5"),
    ("limit", "9" * 30),
    ("cursor", "nonsense"),
    ("cursor", ""),
    ("cursor", "é"),
    ("cursor", "W10"),
    ("cursor", "WyJhIl0"),
    ("cursor", "WzFlOTk5XQ"),
    ("cursor", "WzktOV0"),
    ("cursor", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ"),
    ("cursor", "a" * 2000),
]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("priority", "URGENT", "Must be one of NORMAL, HIGH, BATCH."),
        ("priority", "null", "Must be one of NORMAL, HIGH, BATCH."),
        ("created_from", "NULL", "Must be a moment with its offset, such as 2026-11-21T09:30:00Z."),
        ("created_to", "0.5", "Must be a moment with its offset, such as 2026-11-21T09:30:00Z."),
        ("created_from", "2026-11-22", "Must be a moment with its offset, such as 2026-11-21T09:30:00Z."),
        ("limit", "0", "Must be at least 1."),
        ("limit", "101", "Must be at most 100."),
        ("limit", "ten", "Must be a whole number."),
        ("recipient", "X" * 65, "Must have at most 64 characters."),
    ],
)
def test_a_bad_parameter_is_told_what_it_must_be(site: Site, name: str, value: str, sentence: str) -> None:
    problem = is_problem(site.http.get(PATH, params={name: value}), 400, "invalid_request")
    assert problem["errors"] == [{"pointer": f"/{name}", "code": "invalid_value", "detail": sentence}]


def test_a_bad_parameter_is_400_and_named(each_site: Site) -> None:
    site = each_site
    told = {}
    for name, value in BAD:
        problem = is_problem(site.http.get(PATH, params={name: value}), 400, "invalid_request")
        told[name, value] = [(error["pointer"], error["code"]) for error in problem["errors"]]
    assert told == {(name, value): [(f"/{name}", "invalid_value")] for name, value in BAD}


def test_parameters_that_are_unknown_or_doubled_are_400_and_named(site: Site) -> None:
    answer = site.http.get(f"{PATH}?state=SENT&limit=1&limit=2&%00=1")
    errors = {error["pointer"]: error["code"] for error in is_problem(answer, 400, "invalid_request")["errors"]}
    assert errors == {"/state": "unknown_member", "/limit": "invalid_value", "/\\u0000": "unknown_member"}


def test_a_plus_that_became_a_space_is_said_to_be_one(site: Site) -> None:
    problem = is_problem(
        site.http.get(f"{NOTIFICATIONS}?created_from=2026-11-21T09:30:00+01:00"), 400, "invalid_request"
    )
    assert "%2B" in problem["detail"]
    assert "The parameter 'created_from' cannot be used:" in problem["detail"]
    assert site.http.get(f"{NOTIFICATIONS}?created_from=2026-11-21T09:30:00%2B01:00").status_code == 200
