"""The language of a service's messages and the layout of its e-mails over HTTP: published for all templates or none."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from tests.registry import http_client
from tests.registry.http_client import Client

PATH = "/registry/v1/settings"
OWN = "<html><body><h1>Aurora</h1>{% block content %}{% endblock %}</body></html>"
DATED = "{{ day|date('long') }}, {{ n|number }}"


@pytest.fixture
def client(database: Database, services: tuple[int, int]) -> Iterator[Client]:
    with http_client.opened() as opened:
        opened.headers.update(http_client.authorization(database, services[0]))
        put(opened, "X_NOTE", "# Hello\n\n{{ n|number }}", sample_fields={"n": 1.5})
        put(opened, "X_PLAIN", DATED, format="text", sample_fields={"day": "2026-03-02", "n": 1.5})
        put(opened, "X_PAGE", f"<html><body>{DATED}</body></html>", format="html", subject="S")
        put(opened, "X_OWN", OWN, format="html", kind="layout")
        yield opened


def put(client: Client, identifier: str, source: str, **more: Any) -> Any:
    body = {"name": identifier, "format": "markdown", "source": source, **more}
    return client.put(f"/registry/v1/templates/{identifier}", json=body)


def preview(client: Client, identifier: str) -> dict[str, Any]:
    fields = {"day": "2026-03-02", "n": 1.5}
    answer = client.post(f"/registry/v1/templates/{identifier}/preview", json={"fields": fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def versions(client: Client) -> dict[str, int]:
    return {one["identifier"]: one["version"] for one in client.get("/registry/v1/templates").json()["templates"]}


def test_a_service_begins_in_english_with_our_layout(client: Client) -> None:
    assert client.get(PATH).json() == {"language": "en", "mail_layout": None, "published": []}
    note = preview(client, "X_NOTE")
    assert '<html lang="en" dir="ltr"' in note["html"]
    assert 'class="words"' in note["html"]
    assert note["text"] == "Hello\n\n1.5"
    assert "<p>March 2, 2026, 1.5</p>" in preview(client, "X_PLAIN")["html"]


def test_a_language_is_that_of_all_templates_from_then_on(client: Client, database: Database) -> None:
    answer = client.put(PATH, json={"language": "de-ch"})
    assert answer.status_code == 200
    assert answer.json()["language"] == "de-CH"
    assert [one["identifier"] for one in answer.json()["published"]] == ["X_OWN", "X_NOTE", "X_PAGE", "X_PLAIN"]
    assert set(versions(client).values()) == {2}
    assert preview(client, "X_PLAIN")["text"] == "2. März 2026, 1.5"
    assert '<html lang="de-CH"><title>S</title>' in preview(client, "X_PAGE")["html"]
    put(client, "X_LATER", DATED, format="text")
    assert preview(client, "X_LATER")["text"] == "2. März 2026, 1.5"
    assert client.put(PATH, json={"language": "de-CH"}).json()["published"] == []
    with database.read() as session:
        wanted = select(AuditEntry.detail).where(AuditEntry.action == "service.changed")
        assert list(session.scalars(wanted)) == [{"language": "de-CH", "mail_layout": None, "published_anew": 4}]


def test_what_a_layout_changes_is_shown_and_then_published_for_all(client: Client) -> None:
    body = {"language": "en", "mail_layout": "X_OWN"}
    answer = client.post(f"{PATH}/changes", json=body)
    assert answer.status_code == 200
    note, plain = answer.json()["changes"]
    assert (note["identifier"], plain["identifier"]) == ("X_NOTE", "X_PLAIN")
    assert "Aurora" not in note["before"]["html"]
    assert "<h1>Aurora</h1><h1>Hello</h1>" in note["after"]["html"].replace("\n", "")
    assert note["before"]["text"] == note["after"]["text"]
    assert versions(client) == dict.fromkeys(["X_NOTE", "X_OWN", "X_PAGE", "X_PLAIN"], 1)

    assert client.put(PATH, json=body).json()["published"] == [
        {"identifier": "X_NOTE", "version": 2},
        {"identifier": "X_PLAIN", "version": 2},
    ]
    assert "<h1>Aurora</h1>" in preview(client, "X_PLAIN")["html"]
    used = client.get("/registry/v1/templates/X_OWN").json()["used_by"]
    assert [one["identifier"] for one in used] == ["X_NOTE", "X_PLAIN"]
    assert client.get("/registry/v1/templates/X_NOTE").json()["uses"] == ["X_OWN"]

    # A new version of the layout is published with what is made with it, or not at all.
    assert put(client, "X_OWN", OWN.replace("Aurora", "Borealis"), format="html", kind="layout").status_code == 200
    assert "<h1>Borealis</h1>" in preview(client, "X_NOTE")["html"]
    refused = put(client, "X_OWN", "<html></html>", format="html", kind="layout")
    assert refused.status_code == 422
    assert "has no block named 'content'" in refused.json()["detail"]
    assert versions(client) == {"X_NOTE": 3, "X_OWN": 2, "X_PAGE": 1, "X_PLAIN": 3}


def test_the_layout_in_use_is_kept_until_another_is_chosen(client: Client) -> None:
    client.put(PATH, json={"mail_layout": "X_OWN"})
    for identifier in ("X_NOTE", "X_PLAIN"):
        client.delete(f"/registry/v1/templates/{identifier}")
    refused = client.delete("/registry/v1/templates/X_OWN")
    assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
    assert "the layout of the service’s Markdown and text e-mails" in refused.json()["detail"]
    assert put(client, "X_OWN", "x", format="html").status_code == 409
    assert client.put(PATH, json={"mail_layout": "none"}).json()["mail_layout"] == "none"
    put(client, "X_NOTE", "*x*")
    html = preview(client, "X_NOTE")["html"]
    assert '<html lang="en" dir="ltr">' in html
    assert "class=" not in html
    assert client.delete("/registry/v1/templates/X_OWN").status_code == 204


@pytest.mark.parametrize(
    ("body", "pointer", "sentence"),
    [
        ({"language": "xx"}, "/language", "There is no language 'xx'. Write its tag as in en, en-GB or de-CH."),
        ({"mail_layout": "X_NOTE"}, "/mail_layout", "This service has no layout in HTML named X_NOTE."),
        ({"mail_layout": "X_NOBODY"}, "/mail_layout", "This service has no layout in HTML named X_NOBODY."),
        (
            {"mail_layout": "X_EMPTY"},
            "/mail_layout",
            "The layout of these e-mails, 'X_EMPTY', has no block named 'content'.",
        ),
    ],
)
def test_what_cannot_be_set_is_told(client: Client, body: dict[str, str], pointer: str, sentence: str) -> None:
    put(client, "X_EMPTY", "<html></html>", format="html", kind="layout")
    for answer in (client.put(PATH, json=body), client.post(f"{PATH}/changes", json=body)):
        assert answer.status_code == 400
        assert [(one["pointer"], one["detail"]) for one in answer.json()["errors"]] == [(pointer, sentence)]
    assert client.get(PATH).json() == {"language": "en", "mail_layout": None, "published": []}


def test_a_layout_that_would_break_a_template_is_chosen_for_none(client: Client) -> None:
    put(client, "X_ASKS", OWN.replace("Aurora", "{{ day }}"), format="html", kind="layout")
    answer = client.put(PATH, json={"mail_layout": "X_ASKS"})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_template")
    assert "X_NOTE: The field 'day' is missing (line 1 of 'X_ASKS')." in answer.json()["detail"]
    assert set(versions(client).values()) == {1}
    assert client.get(PATH).json()["mail_layout"] is None


def test_each_service_has_its_own(client: Client, database: Database, services: tuple[int, int]) -> None:
    client.put(PATH, json={"language": "fr", "mail_layout": "X_OWN"})
    theirs = http_client.authorization(database, services[1])
    assert client.get(PATH, headers=theirs).json() == {"language": "en", "mail_layout": None, "published": []}
    assert client.put(PATH, json={"mail_layout": "X_OWN"}, headers=theirs).status_code == 400


def test_one_needs_the_right_scope(client: Client, database: Database, services: tuple[int, int]) -> None:
    reader = http_client.authorization(database, services[0], "registry:read")
    assert client.put(PATH, json={}, headers=reader).status_code == 403
    assert client.post(f"{PATH}/changes", json={}, headers=reader).status_code == 200
