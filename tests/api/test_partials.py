"""Partials and layouts of a service over HTTP: pinned by what is made with them, and published for all or none."""

from typing import Any

import pytest

from backend.db.database import Database
from backend.delivery.sending.compose import render_job
from backend.registry import lookup
from backend.rendering import engine
from tests.registry.http_client import Client

PATH = "/registry/v1/templates"
LETTER = "<mjml><mj-body>\n{% include 'X_HEADER' %}\n<mj-include path='X_FOOTER' />\n</mj-body></mjml>"
SECTION = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"


def put(client: Client, identifier: str, source: str, kind: str = "partial", **more: Any) -> Any:
    body = {"name": identifier, "kind": kind, "format": "mjml", "source": source, **more}
    return client.put(f"{PATH}/{identifier}", json=body)


@pytest.fixture
def letter(client: Client) -> Client:
    """A letter with a header that holds a line, and a footer."""
    assert put(client, "X_LINE", "line", format="html").status_code == 201
    assert put(client, "X_HEADER", SECTION.format("Head {% include 'X_LINE' %}")).status_code == 201
    assert put(client, "X_FOOTER", SECTION.format("Foot of {{ name }}")).status_code == 201
    made = put(client, "X_LETTER", LETTER, "template", subject="S", sample_fields={"name": "Ada"})
    assert (made.status_code, made.json()["warnings"]) == (201, [])
    return client


def text(client: Client, identifier: str = "X_LETTER") -> str:
    answer = client.post(f"{PATH}/{identifier}/preview", json={"fields": {"name": "Ada"}})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["text"])


def test_a_template_tells_what_it_uses_and_a_partial_who_uses_it(letter: Client) -> None:
    made = letter.get(f"{PATH}/X_LETTER").json()
    assert (made["kind"], made["uses"], made["used_by"]) == ("template", ["X_FOOTER", "X_HEADER", "X_LINE"], [])
    line = letter.get(f"{PATH}/X_LINE").json()
    assert (line["kind"], line["used_by"]) == (
        "partial",
        [{"identifier": "X_HEADER", "version": 1}, {"identifier": "X_LETTER", "version": 1}],
    )
    assert {one["identifier"]: one["kind"] for one in letter.get(PATH).json()["templates"]} == {
        **dict.fromkeys(["X_FOOTER", "X_HEADER", "X_LINE"], "partial"),
        "X_LETTER": "template",
    }
    assert text(letter) == "Head line\n\nFoot of Ada"
    assert text(letter, "X_FOOTER") == "Foot of Ada"


def test_a_new_version_is_shown_and_then_published_for_all(letter: Client) -> None:
    body = {"name": "Line", "kind": "partial", "format": "html", "source": "<i>other</i> line"}
    answer = letter.post(f"{PATH}/X_LINE/changes", json=body)
    assert answer.status_code == 200
    header, changed = answer.json()["changes"]
    assert (header["identifier"], header["before"], header["breaks"]) == ("X_HEADER", None, None)
    assert (changed["identifier"], changed["version"], changed["breaks"]) == ("X_LETTER", 1, None)
    assert changed["before"]["text"] == "Head line\n\nFoot of Ada"
    assert changed["after"]["text"] == "Head other line\n\nFoot of Ada"
    assert "<i>other</i>" in changed["after"]["html"]
    assert text(letter) == "Head line\n\nFoot of Ada"
    assert letter.put(f"{PATH}/X_LINE", json=body).json()["version"] == 2
    assert text(letter) == "Head other line\n\nFoot of Ada"
    versions = {name: letter.get(f"{PATH}/{name}").json()["version"] for name in ("X_LETTER", "X_HEADER", "X_FOOTER")}
    assert versions == {"X_LETTER": 2, "X_HEADER": 2, "X_FOOTER": 1}
    assert letter.put(f"{PATH}/X_LINE", json=body).json()["version"] == 2
    assert letter.get(f"{PATH}/X_LETTER").json()["version"] == 2


def test_what_is_not_there_changes_nothing(client: Client) -> None:
    body = {"name": "Line", "kind": "partial", "format": "html", "source": "line"}
    assert client.post(f"{PATH}/X_NONE/changes", json=body).status_code == 404


def test_what_was_accepted_keeps_the_partials_of_its_version(letter: Client, database: Database) -> None:
    put(letter, "X_FOOTER", SECTION.format("New foot"))
    with database.read() as session:
        found = lookup.versions(session, range(1, 20)).values()
    of_letter = {one.number: one for one in found if one.identifier == "X_LETTER"}
    texts = [engine.render(render_job(of_letter[number], {"name": "Ada"})).text for number in (1, 2)]
    assert texts == ["Head line\n\nFoot of Ada", "Head line\n\nNew foot"]


def test_a_version_that_breaks_one_is_published_for_none(letter: Client) -> None:
    for source, reason in (
        (SECTION.format("{{ nobody }}"), "the field 'nobody' is missing"),
        (SECTION.format("{% if %}"), "a condition is missing"),
        ("<mj-text>no section</mj-text>", "<mj-text> cannot stand inside <mj-body>"),
    ):
        answer = put(letter, "X_FOOTER", source)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_template")
        assert reason in answer.json()["detail"].lower() or reason in answer.json()["detail"]
    assert letter.get(f"{PATH}/X_FOOTER").json()["version"] == 1
    assert letter.get(f"{PATH}/X_LETTER").json()["version"] == 1
    assert text(letter) == "Head line\n\nFoot of Ada"


def test_circles_and_what_is_missing_are_refused_by_name(letter: Client) -> None:
    circle = put(letter, "X_LINE", "{% include 'X_HEADER' %}", format="html")
    assert (circle.status_code, circle.json()["code"]) == (422, "invalid_template")
    assert "X_LINE includes X_HEADER includes X_LINE" in circle.json()["detail"]
    missing = put(letter, "X_OTHER", "{% include 'X_NONE' %}", "template", format="html")
    assert "there is no partial or layout named 'X_NONE'" in missing.json()["detail"]
    a_template = put(letter, "X_OTHER", "{% include 'X_LETTER' %}", "template", format="html")
    assert "there is no partial or layout named 'X_LETTER'" in a_template.json()["detail"]


def test_what_is_used_is_neither_deleted_nor_made_a_template(letter: Client) -> None:
    answer = letter.delete(f"{PATH}/X_LINE")
    assert (answer.status_code, answer.json()["code"]) == (409, "in_use")
    assert "X_HEADER, X_LETTER are made with X_LINE" in answer.json()["detail"]
    answer = put(letter, "X_LINE", "line", "template", format="html")
    assert (answer.status_code, answer.json()["code"]) == (409, "in_use")
    put(letter, "X_LETTER", "<mjml><mj-body></mj-body></mjml>", "template")
    put(letter, "X_HEADER", SECTION.format("Head"))
    assert letter.delete(f"{PATH}/X_LINE").status_code == 204
