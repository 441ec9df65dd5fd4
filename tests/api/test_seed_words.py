"""What a laboratory's system sends: joined aggregators, printed payloads, a mebibyte of fields, ids at the root."""

import json
from itertools import product
from typing import Any
from urllib.parse import quote

import pytest

from tests.api.conftest import Site, is_problem
from tests.factories import notification

JOINED = "40STDY246690, 40STDY246691 / 2026 – Übersicht %2F"


@pytest.mark.parametrize("priority", ["NORMAL", "HIGH"])
def test_an_aggregator_elsewhere_is_kept_and_warned_of(site: Site, priority: str) -> None:
    answer = site.send(notification(priority=priority, aggregator_id=JOINED))
    assert answer.status_code == 202
    (warning,) = answer.json()["warnings"]
    assert (warning["pointer"], warning["code"]) == ("/aggregator_id", "aggregator_unused")
    assert site.show(answer.json()["notification_id"]).json()["aggregator_id"] == JOINED
    assert "warnings" not in site.send(notification("S-2", priority=priority)).json()


@pytest.mark.parametrize("aggregator_id", [JOINED, "\u4e00" * 1024, "a/b", "/", "."])
def test_a_batch_is_found_by_any_text(site: Site, aggregator_id: str) -> None:
    site.laboratory.template("X_LIST", "{{ fields | length }}", format="text")
    sent = site.send(notification(template_id="X_LIST", priority="BATCH", aggregator_id=aggregator_id))
    assert (sent.status_code, sent.json()["status"]) == (202, "DISPATCHED")
    path = f"/notifications/v1/aggregators/{quote(aggregator_id, safe='').replace('.', '%2E')}"
    for looked_into in (path, f"{path}/preview"):
        assert site.http.get(looked_into).json()["aggregator_id"] == aggregator_id
    for act, done in (("hold", "held"), ("release", "released"), ("flush", "flushed")):
        answer = site.http.post(f"{path}/{act}").json()
        assert (answer["aggregator_id"], answer["done"]) == (aggregator_id, done)
    assert site.http.get("/notifications/v1", params={"aggregator_id": aggregator_id}).json()["notifications"]


ONE = (
    "<h1>{{ fields.sample_id }}</h1>{% for one in fields.attributes %}<p>{{ one.key }}: {{ one.value }}</p>{% endfor %}"
)
MANY = (
    "{% for field in fields %}<h1>{{ field['sample-id'] }}</h1>"
    "{% for one in field.attributes %}{{ one.key }}{% endfor %}{% endfor %}"
)
ATTRIBUTES = [{"key": "Country", "value": "United Kindm"}, {"key": "Reference Genome", "value": "NONE"}]
# Priority, form, the name of the recipients, how many attributes, and an aggregator_id where none is needed.
COMBINATIONS = [
    (priority, content_type, name, attributes, joined)
    for priority, content_type, name, attributes, joined in product(
        ("NORMAL", "HIGH", "BATCH"), ("text", "html", None), ("recipient", "recipients"), (2, 1, 0), (False, True)
    )
    if joined or priority != "BATCH"
]


def printed(combination: tuple[str, str | None, str, int, bool], sample: str) -> dict[str, Any]:
    """Write the printed payload in one of its combinations."""
    priority, content_type, name, attributes, joined = combination
    batch = priority == "BATCH"
    channel: dict[str, Any] = {
        "type": "EMAIL",
        name: ["X_LAB"],
        "subject": "Accessioning Failure: Invalid input data for manifest",
        "template_id": "X_MANY" if batch else "X_ONE",
        "fields": {"attributes": ATTRIBUTES[:attributes], ("sample-id" if batch else "sample_id"): sample},
    }
    if content_type is not None:
        channel["content_type"] = content_type
    return {"channels": [channel], "priority": priority} | ({"aggregator_id": "21784312"} if joined else {})


def test_the_printed_payload_is_taken_in_every_combination(site: Site) -> None:
    site.laboratory.template("X_ONE", ONE)
    site.laboratory.template("X_MANY", MANY)
    assert len(COMBINATIONS) == 90
    for number, combination in enumerate(COMBINATIONS):
        written = json.dumps(printed(combination, f"40STDY{number}"), indent=2).encode()
        answer = site.send(written)
        assert (answer.status_code, answer.json()["status"]) == (202, "DISPATCHED"), answer.text
        # As it is printed, with a comma too many, it is told where that stands.
        problem = is_problem(site.send(written[:-2] + b",\n}"), 400, "malformed_json")
        assert "a comma stands before the closing '}'" in problem["detail"]


def test_fields_may_fill_the_whole_body(site: Site) -> None:
    body = notification(template_id="X_PLAIN", fields={"filling": "a" * (1024 * 1024 - 400)})
    site.laboratory.template("X_PLAIN", "{{ filling | length }}", format="text")
    assert site.send(body).status_code == 202


def test_the_root_answers_for_an_id_as_the_long_address_does(site: Site) -> None:
    sent = site.send(notification()).json()
    short = site.http.get(f"/notification/{sent['notification_id']}")
    assert (short.status_code, short.json()) == (200, site.show(sent["notification_id"]).json())
    other = "/notification/00000000-0000-8000-8000-000000000000"
    is_problem(site.http.get(other), 404, "not_found")
    is_problem(site.http.get(other, headers={"Authorization": ""}), 401, "unauthenticated")
    assert site.http.get("/notification/5").json() == {"error": "Forbidden, invalid bearer token provided"}
    assert site.http.get("/notification/five").json() == {"error": "Not found"}
