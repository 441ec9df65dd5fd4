"""``/registry/v1/templates`` over HTTP."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from backend.db.database import Database
from tests.registry import http_client
from tests.registry.http_client import Client, pointers

PATH = "/registry/v1/templates"
REPORT = {
    "name": "Run report",
    "format": "html",
    "source": "<p>Run {{ run }} is done.</p>",
    "subject": "Run {{ run }}",
    "sample_fields": {"run": 7},
    "batch": {"quiet_seconds": 30, "max_items": 50},
    "repeat_after": "24h",
}
BESIDE = {"samples": [{"name": "Example", "fields": {"run": 7}}], "code": None, "lock": None}
OF_A_VERSION = (
    "kind",
    "sender",
    "reply_to",
    "version",
    "created_at",
    "created_by",
    "note",
    "by_code",
    "commit",
    "repository",
)


def put(client: Client, **changes: Any) -> Any:
    return client.put(f"{PATH}/RUN_REPORT", json=REPORT | changes)


def test_a_template_is_published_read_and_deleted(client: Client) -> None:
    created = put(client)
    assert created.status_code == 201
    body = created.json()
    assert body.pop("created_at") == body.pop("updated_at")
    plain = {"kind": "template", "sender": None, "reply_to": None, "uses": [], "used_by": []}
    assert body == {**REPORT, **plain, "identifier": "RUN_REPORT", "version": 1, "warnings": [], **BESIDE}
    assert client.get(f"{PATH}/RUN_REPORT").json() == created.json()
    again = put(client)
    assert (again.status_code, again.json()) == (200, created.json())
    changed = put(client, source="<p>Done: {{ run }}</p>")
    assert (changed.status_code, changed.json()["version"]) == (200, 2)
    assert client.delete(f"{PATH}/RUN_REPORT").status_code == 204
    for path in ("", "/versions"):
        assert client.get(f"{PATH}/RUN_REPORT{path}").status_code == 404
    assert client.post(f"{PATH}/RUN_REPORT/preview", json={"fields": {}}).status_code == 404
    revived = put(client)
    assert (revived.status_code, revived.json()["version"]) == (201, 3)


def test_what_is_left_out_is_null(client: Client) -> None:
    answer = client.put(f"{PATH}/PLAIN", json={"name": "Plain", "format": "text", "source": "Hello", "batch": {}})
    body = answer.json()
    assert [body[name] for name in ("subject", "sample_fields", "batch", "repeat_after")] == [None] * 4


@pytest.mark.parametrize("time", ["", "24", "1.5h", "0m", "59s", "367d", "1w", 24, True])
def test_a_time_to_repeat_that_cannot_be_used_is_refused(client: Client, time: object) -> None:
    answer = put(client, repeat_after=time)
    assert (answer.status_code, list(pointers(answer.json()))) == (400, ["/repeat_after"])
    assert "the repeat_after must be" in answer.json()["detail"]


def test_another_time_to_repeat_is_another_version(client: Client) -> None:
    assert put(client).json()["version"] == 1
    for time, version in (("7d", 2), ("7d", 2), (None, 3)):
        body = put(client, repeat_after=time).json()
        assert (body["version"], body["repeat_after"]) == (version, time)
    versions = client.get(f"{PATH}/RUN_REPORT/versions").json()["versions"]
    assert [one["repeat_after"] for one in versions] == [None, "7d", "24h"]


def test_another_service_neither_sees_nor_takes_a_template(client: Client, other: dict[str, str]) -> None:
    put(client)
    for path in ("", "/versions"):
        assert client.get(f"{PATH}/RUN_REPORT{path}", headers=other).status_code == 404
    assert client.delete(f"{PATH}/RUN_REPORT", headers=other).status_code == 404
    preview = client.post(f"{PATH}/RUN_REPORT/preview", json={"fields": {"run": 1}}, headers=other)
    assert preview.status_code == 404
    assert client.get(PATH, headers=other).json()["templates"] == []
    taken = client.put(f"{PATH}/RUN_REPORT", json=REPORT, headers=other)
    assert (taken.status_code, taken.json()["code"]) == (409, "identifier_taken")


def test_a_template_that_cannot_work_is_refused_with_its_line(client: Client) -> None:
    answer = put(client, source="<p>\n{% if run %}\n</p>")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_template")
    assert pointers(answer.json()) == {"/source": "invalid_template"}
    assert answer.json()["detail"].startswith("Line 2: ")
    subject = put(client, subject="{{ run")
    assert (subject.status_code, pointers(subject.json())) == (422, {"/subject": "invalid_template"})
    assert client.get(f"{PATH}/RUN_REPORT").status_code == 404


def test_a_sample_that_does_not_render_is_a_warning(client: Client) -> None:
    answer = put(client, sample_fields={"walk": 7})
    assert answer.status_code == 201
    (warning,) = answer.json()["warnings"]
    assert warning.keys() == {"line", "code", "detail"}
    assert "run" in warning["detail"]
    assert client.get(f"{PATH}/RUN_REPORT").json()["warnings"] == [warning]


@pytest.mark.parametrize(
    ("batch", "wait"),
    [
        ({"quiet_seconds": 600, "max_wait_seconds": 60.5}, "60.5)"),
        ({"quiet_seconds": 901}, "900, as the installation is set)"),
        ({"quiet_seconds": 900, "max_items": 5}, None),
        ({"quiet_seconds": 60, "max_wait_seconds": 60}, None),
        ({"max_wait_seconds": 1}, None),
    ],
)
def test_a_quiet_time_beyond_the_longest_wait_is_a_warning(
    client: Client, batch: dict[str, float], wait: str | None
) -> None:
    published = put(client, batch=batch)
    assert (published.status_code, published.json()["batch"]) == (201, batch)
    preview = client.post(f"{PATH}/RUN_REPORT/preview", json={"fields": {"run": 1}})
    for answer in (published, client.get(f"{PATH}/RUN_REPORT"), preview):
        said = [(one["code"], one["detail"]) for one in answer.json()["warnings"]]
        assert [code for code, _ in said] == ["quiet_time_unused"] * (wait is not None)
        assert all(f"max_wait_seconds, {wait}, which ends every batch first" in detail for _, detail in said)


def test_every_fault_of_form_is_pointed_at(client: Client) -> None:
    batch = {"quiet_seconds": -1, "max_items": 0, "colour": "red"}
    answer = put(client, name="", format="pdf", source="", subject=5, sample_fields=[1], batch=batch, more=1)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert pointers(answer.json()) == {
        "/name": "invalid_value",
        "/format": "invalid_value",
        "/source": "invalid_value",
        "/subject": "invalid_type",
        "/sample_fields": "invalid_value",
        "/batch/quiet_seconds": "invalid_value",
        "/batch/max_items": "invalid_value",
        "/batch/colour": "unknown_member",
        "/more": "unknown_member",
    }


def test_a_source_has_at_most_256_kib(client: Client) -> None:
    assert put(client, format="text", source="é" * (128 * 1024)).status_code == 201
    answer = put(client, format="text", source="é" * (128 * 1024) + "e")
    assert (answer.status_code, pointers(answer.json())) == (400, {"/source": "invalid_value"})


@pytest.mark.parametrize("identifier", ["report", "AB", "A" * 65])
def test_an_invalid_identifier_is_said_to_be_one(client: Client, identifier: str) -> None:
    for answer in (
        client.put(f"{PATH}/{identifier}", json=REPORT),
        client.get(f"{PATH}/{identifier}"),
        client.get(f"{PATH}/{identifier}/versions"),
        client.post(f"{PATH}/{identifier}/preview", json={"fields": {}}),
        client.delete(f"{PATH}/{identifier}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_identifier")


def test_names_of_carillons_own_messages_are_kept_back(client: Client) -> None:
    answer = client.put(f"{PATH}/CARILLON_RESOLVED", json=REPORT)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_identifier")
    assert "for Carillon's own messages" in answer.json()["detail"]


def test_versions_are_listed_newest_first(client: Client) -> None:
    for count in range(5):
        put(client, source=f"<p>{count}</p>")
    seen, parameters = [], {"limit": "2"}
    for _ in range(3):
        page = client.get(f"{PATH}/RUN_REPORT/versions", params=parameters).json()
        seen.extend((item["version"], item["source"]) for item in page["versions"])
        parameters["cursor"] = page["next_cursor"]
    assert seen == [(number, f"<p>{number - 1}</p>") for number in (5, 4, 3, 2, 1)]
    assert parameters["cursor"] is None
    assert page["versions"][0].keys() == (REPORT | dict.fromkeys(OF_A_VERSION)).keys()


def test_the_list_shows_templates_without_their_texts(client: Client) -> None:
    for identifier in ("BBB", "AAA", "CCC"):
        client.put(f"{PATH}/{identifier}", json=REPORT)
    page = client.get(PATH, params={"limit": "2"}).json()
    assert [item["identifier"] for item in page["templates"]] == ["AAA", "BBB"]
    assert page["templates"][0].keys() == {
        "identifier",
        "name",
        "kind",
        "format",
        "version",
        "subject",
        "created_at",
        "updated_at",
    }
    rest = client.get(PATH, params={"cursor": page["next_cursor"]}).json()
    assert ([item["identifier"] for item in rest["templates"]], rest["next_cursor"]) == (["CCC"], None)


@pytest.mark.parametrize("priority", ["NORMAL", "HIGH"])
def test_a_preview_renders_the_published_version(client: Client, priority: str) -> None:
    put(client, source="<p>old</p>")
    put(client)
    answer = client.post(f"{PATH}/RUN_REPORT/preview", json={"fields": {"run": "<8>"}, "priority": priority})
    assert answer.status_code == 200
    body = answer.json()
    assert body["subject"] == "Run <8>"
    assert "Run &lt;8&gt; is done." in body["html"]
    assert body["text"].strip() == "Run <8> is done."
    assert body["warnings"] == []


@pytest.mark.parametrize("form", ["text", "markdown", "html"])
def test_a_preview_counts_the_parts_of_a_text_message(client: Client, form: str) -> None:
    put(client, format=form, source="Run {{ run }} – done")
    answer = client.post(f"{PATH}/RUN_REPORT/preview", json={"fields": {"run": "x" * 150}}).json()
    counted = {"encoding": "GSM-7", "parts": 2, "characters": 161, "units": 161, "units_left": 145}
    assert answer.get("segments") == (None if form == "html" else counted)


@pytest.mark.parametrize("fields", [{"run": 1}, [{"run": 1}, {"run": 2}]])
def test_a_batch_preview_takes_one_object_or_many(client: Client, fields: Any) -> None:
    source = "{% for one in fields %}[{{ one.run }}]{% endfor %}"
    put(client, format="text", source=source, subject="{{ fields | length }}", sample_fields=[{"run": 1}])
    answer = client.post(f"{PATH}/RUN_REPORT/preview", json={"fields": fields, "priority": "BATCH"}).json()
    count = len(fields) if isinstance(fields, list) else 1
    assert answer["subject"] == str(count)
    assert "[1]" in answer["html"]
    assert answer["text"].strip() == "".join(f"[{number + 1}]" for number in range(count))


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"fields": [{"run": 1}]}, 400, "/fields"),
        ({"fields": [], "priority": "BATCH"}, 400, "/fields"),
        ({"fields": "run"}, 400, "/fields"),
        ({"fields": {}, "priority": "LATER"}, 400, "/priority"),
        ({"priority": "HIGH"}, 400, "/fields"),
        ({"fields": {"walk": 1}}, 422, None),
    ],
)
def test_a_preview_that_cannot_be_says_why(client: Client, body: Any, status: int, pointer: str | None) -> None:
    put(client)
    answer = client.post(f"{PATH}/RUN_REPORT/preview", json=body)
    assert answer.status_code == status
    if pointer is None:
        assert answer.json()["code"] == "template_arguments"
        assert "run" in answer.json()["detail"]
    else:
        assert list(pointers(answer.json())) == [pointer]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/ABC"),
        ("GET", "/ABC/versions"),
        ("PUT", "/ABC"),
        ("POST", "/ABC/preview"),
        ("DELETE", "/ABC"),
    ],
)
def test_unknown_parameters_and_missing_scopes_are_refused(
    client: Client, database: Database, services: tuple[int, int], method: str, path: str
) -> None:
    body = {"PUT": REPORT, "POST": {"fields": {}}}.get(method)
    answer = client.request(method, f"{PATH}{path}?colour=red", json=body)
    assert (answer.status_code, pointers(answer.json())) == (400, {"/colour": "unknown_member"})
    wrong = "registry:read" if method in {"PUT", "DELETE"} else "registry:write"
    headers = http_client.authorization(database, services[0], wrong)
    assert client.request(method, f"{PATH}{path}", json=body, headers=headers).status_code == 403


@pytest.mark.parametrize("cursor", ["x", "WyJBQkMiXQ", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OV0"])  # ["ABC"], [10^22 - 1]
def test_a_cursor_of_another_list_is_refused(client: Client, cursor: str) -> None:
    put(client)
    answer = client.get(f"{PATH}/RUN_REPORT/versions", params={"cursor": cursor})
    assert (answer.status_code, pointers(answer.json())) == (400, {"/cursor": "invalid_value"})


def test_puts_at_once_become_versions_one_after_the_other(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: put(client, source=f"<p>{number % 4}</p>"), range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 11 + [201]
    page = client.get(f"{PATH}/RUN_REPORT/versions").json()
    numbers = [item["version"] for item in page["versions"]]
    assert numbers == list(range(len(numbers), 0, -1))
    assert {answer.json()["version"] for answer in answers} == set(numbers)


def test_a_preview_tells_the_size_of_its_own_message(client: Client) -> None:
    client.put(f"{PATH}/RUN_REPORT", json=REPORT)
    codes = [
        {
            one["code"]
            for one in client.post(f"{PATH}/RUN_REPORT/preview", json={"fields": {"run": run}}).json()["warnings"]
        }
        for run in ("7", "x" * 110_000)
    ]
    assert ["clipped" in found for found in codes] == [False, True]
    long = client.put(f"{PATH}/LONG_REPORT", json=REPORT | {"sample_fields": {"run": "x" * 110_000}})
    assert "clipped" in {one["code"] for one in long.json()["warnings"]}


def test_a_batch_has_fixed_times_and_what_is_none_is_refused_in_a_sentence(client: Client) -> None:
    batch = {"digest": "weekdays 08:00 Europe/London"}
    assert put(client, batch=batch).json()["batch"] == batch
    refused = put(client, batch={"digest": "weekdays 08:00 Europe/Atlantis"})
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["pointer"]) == (400, "/batch/digest")
    assert "no time zone 'Europe/Atlantis'" in error["detail"]
