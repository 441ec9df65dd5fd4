"""Many templates and recipients changed by one request: planned, and published together or not at all."""

from typing import Any

from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.audit import AuditEntry
from tests.registry import http_client
from tests.registry.http_client import Client

PATH = "/registry/v1/changes"
TEMPLATES = "/registry/v1/templates"
LINE = {"identifier": "X_LINE", "name": "Line", "kind": "partial", "format": "html", "source": "<b>line</b>"}
LETTER = {
    "identifier": "X_LETTER",
    "name": "Letter",
    "format": "html",
    "source": "<p>Dear {{ name }}: {% include 'X_LINE' %}</p>",
    "subject": "Hello",
    "samples": [{"name": "Ada", "fields": {"name": "Ada"}}, {"name": "Bob", "fields": {"name": "Bob"}}],
}
LAB = {"identifier": "X_LAB", "name": "Lab", "endpoints": [{"type": "EMAIL", "address": "lab@lab.example"}]}
SAID = {"message": "Greet", "commit": "abc123", "repository": "https://u:p@git.example/r"}


def send(client: Client, *, query: str = "", status: int = 200, **body: Any) -> Any:
    answer = client.post(PATH + query, json=SAID | body)
    assert answer.status_code == status, answer.text
    return answer.json()


def kinds(answer: Any) -> dict[str, str]:
    return {one["identifier"]: one["change"] for one in (*answer["templates"], *answer["recipients"])}


def test_a_change_is_planned_then_published_and_then_there_is_nothing_to_do(client: Client, database: Database) -> None:
    everything = {"templates": [LETTER, LINE], "recipients": [LAB]}
    planned = send(client, query="?dry_run", **everything)
    assert planned["dry_run"]
    assert kinds(planned) == {"X_LETTER": "new", "X_LINE": "new", "X_LAB": "new"}
    assert client.get(f"{TEMPLATES}/X_LETTER").status_code == 404
    done = send(client, **everything)
    assert not done["dry_run"]
    assert [one["version"] for one in done["templates"]] == [1, 1]
    letter = client.get(f"{TEMPLATES}/X_LETTER").json()
    assert (letter["uses"], letter["samples"]) == (["X_LINE"], LETTER["samples"])
    assert (letter["sample_fields"], letter["lock"]) == ({"name": "Ada"}, None)
    assert letter["code"] | {"at": 0} == {
        "version": 1, "at": 0, "commit": "abc123", "repository": "https://git.example/r", "edited": None
    }  # fmt: skip
    (version,) = client.get(f"{TEMPLATES}/X_LETTER/versions").json()["versions"]
    assert (version["note"], version["by_code"], version["commit"]) == ("Greet", True, "abc123")
    again = send(client, **everything)
    assert set(kinds(again).values()) == {"same"}
    assert client.get(f"{TEMPLATES}/X_LETTER").json()["version"] == 1
    with database.read() as session:
        actions = list(session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))
    assert actions[-3:] == ["template.published", "template.published", "recipient.made"]


def test_a_partial_publishes_anew_what_is_made_with_it(client: Client) -> None:
    send(client, templates=[LETTER, LINE])
    changed = send(client, query="?dry_run=true", templates=[LINE | {"source": "<b>other</b>"}])
    (rendered,) = changed["rendered"]
    assert rendered["identifier"] == "X_LETTER"
    assert (rendered["before"]["text"], rendered["after"]["text"]) == ("Dear Ada: line", "Dear Ada: other")
    send(client, templates=[LINE | {"source": "<b>other</b>"}])
    letter = client.get(f"{TEMPLATES}/X_LETTER").json()
    assert (letter["version"], letter["code"]["edited"]) == (2, None)


def test_one_fault_keeps_everything_back(client: Client) -> None:
    broken = LETTER | {"identifier": "X_OTHER", "source": "<p>\n{{ name | nothing }}</p>"}
    stray = LETTER | {"samples": [*LETTER["samples"], {"name": "Nobody", "fields": {}}]}  # type: ignore[misc]
    problem = send(client, status=422, templates=[LINE, broken, stray])
    assert http_client.pointers(problem) == {
        "/templates/1/source": "invalid_template",
        "/templates/2/samples/2/fields": "template_arguments",
    }
    assert "X_OTHER: Line 2: " in problem["errors"][0]["detail"]
    assert "(Sample Nobody.)" in problem["errors"][1]["detail"]
    assert client.get(f"{TEMPLATES}/X_LINE").status_code == 404


def test_what_is_needed_stays(client: Client) -> None:
    send(client, templates=[LETTER, LINE])
    problem = send(client, status=409, delete={"templates": ["X_LINE"]})
    assert (problem["code"], "X_LETTER" in problem["detail"]) == ("in_use", True)
    as_template = LINE | {"kind": "template"}
    assert send(client, status=409, templates=[LETTER, as_template])["code"] == "in_use"
    without = LETTER | {"source": "<p>{{ name }}</p>"}
    done = send(client, templates=[without], delete={"templates": ["X_LINE"]})
    assert kinds(done) == {"X_LETTER": "changed", "X_LINE": "deleted"}
    assert client.get(f"{TEMPLATES}/X_LINE").status_code == 404


def test_an_edit_by_hand_is_told_and_a_lock_is_set_and_taken_away(client: Client) -> None:
    send(client, templates=[LINE, LETTER | {"locked": True}])
    lock = client.get(f"{TEMPLATES}/X_LETTER").json()["lock"]
    assert lock["repository"] == "https://git.example/r"
    body = {name: LETTER[name] for name in ("name", "format", "subject")} | {"source": "<p>by hand</p>"}
    assert client.put(f"{TEMPLATES}/X_LETTER", json=body).json()["version"] == 2
    (told,) = send(client, query="?dry_run", templates=[LETTER | {"locked": False}])["templates"]
    assert (told["change"], told["relocked"], told["code"]["edited"]["version"]) == ("changed", False, 2)
    send(client, templates=[LETTER | {"locked": False}])
    letter = client.get(f"{TEMPLATES}/X_LETTER").json()
    assert (letter["lock"], letter["version"], letter["code"]["edited"]) == (None, 3, None)


def test_what_is_named_twice_or_not_understood_is_refused(client: Client) -> None:
    problem = send(client, status=400, templates=[LINE, LINE])
    assert http_client.pointers(problem) == {"/templates/1/identifier": "invalid_value"}
    assert client.post(f"{PATH}?dry_run=perhaps", json={}).status_code == 400
    bad = LAB | {"endpoints": [{"type": "EMAIL", "address": "nowhere"}]}
    problem = send(client, status=422, recipients=[bad])
    assert http_client.pointers(problem) == {"/recipients/0/endpoints/0/address": "invalid_address"}
