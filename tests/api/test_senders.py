"""Senders over HTTP: the list, and the choice of one in a template and in a change of many templates."""

from collections.abc import Iterator
from typing import Any

import pytest

from backend.accounts import senders
from backend.accounts.senders import NewSender
from backend.db.database import Database
from tests.factories import Laboratory, laboratory
from tests.registry import http_client
from tests.registry.http_client import Client, pointers

TEMPLATES, CHANGES = "/registry/v1/templates", "/registry/v1/changes"
TEMPLATE = {"name": "Note", "format": "text", "source": "Hello", "subject": "S"}


@pytest.fixture
def lab(database: Database) -> Laboratory:
    return laboratory(database)


@pytest.fixture
def client(database: Database, lab: Laboratory) -> Iterator[Client]:
    with http_client.opened() as opened:
        opened.headers.update(http_client.authorization(database, lab.service_id))
        yield opened


def put(client: Client, **more: Any) -> Any:
    return client.put(f"{TEMPLATES}/X_NOTE", json=TEMPLATE | more)


def test_senders_are_listed(client: Client, lab: Laboratory) -> None:
    assert client.get("/registry/v1/senders").json() == {"senders": []}
    uid = lab.sender("lims@localhost.localdomain", name="LIMS", default=True)
    with lab.database.transaction() as session:
        senders.add(session, lab.service_id, NewSender("reply_to", "desk@lab.example"), "ada")
    laboratory(lab.database, "Yonder").sender("theirs@localhost.localdomain")
    first, second = client.get("/registry/v1/senders").json()["senders"]
    assert first.pop("verified_at") is not None
    own = {"id": str(uid), "kind": "from", "address": "lims@localhost.localdomain", "name": "LIMS", "default": True}
    assert first == own
    assert (second["kind"], second["verified_at"], second["default"]) == ("reply_to", None, False)


def test_a_template_is_published_with_a_sender_that_can_be_used(client: Client, lab: Laboratory) -> None:
    refused = put(client, sender="lims@localhost.localdomain")
    assert (refused.status_code, pointers(refused.json())) == (422, {"/sender": "unknown_sender"})
    assert client.get(f"{TEMPLATES}/X_NOTE").status_code == 404
    lab.sender("lims@localhost.localdomain")
    desk = lab.sender("desk@lab.example", "reply_to")
    made = put(client, sender="lims@localhost.localdomain", reply_to=str(desk)).json()
    assert (made["version"], made["sender"], made["reply_to"]) == (1, "lims@localhost.localdomain", str(desk))
    assert put(client, sender="lims@localhost.localdomain", reply_to=str(desk)).json()["version"] == 1
    assert put(client, sender="lims@localhost.localdomain").json()["version"] == 2
    assert put(client).json()["version"] == 3
    with lab.database.transaction() as session:
        senders.remove(session, lab.service_id, desk)
    put(client, sender="lims@localhost.localdomain")
    assert put(client, reply_to=str(desk)).status_code == 422
    versions = client.get(f"{TEMPLATES}/X_NOTE/versions").json()["versions"]
    assert [one["reply_to"] for one in versions] == [None, None, None, str(desk)]


def test_a_template_whose_sender_was_withdrawn_is_warned_of(client: Client, lab: Laboratory) -> None:
    uid = lab.sender("lims@localhost.localdomain")
    put(client, sender="lims@localhost.localdomain")
    with lab.database.transaction() as session:
        senders.remove(session, lab.service_id, uid)
    warned = client.get(f"{TEMPLATES}/X_NOTE").json()["warnings"]
    assert "unknown_sender" in [one["code"] for one in warned]


def test_a_change_of_many_says_whose_sender_is_not_there(client: Client, lab: Laboratory) -> None:
    lab.sender("lims@localhost.localdomain")
    good = TEMPLATE | {"identifier": "X_GOOD", "sender": "lims@localhost.localdomain"}
    bad = TEMPLATE | {"identifier": "X_BAD", "reply_to": "lims@localhost.localdomain"}
    answer = client.post(CHANGES, json={"templates": [good, bad]})
    assert answer.status_code == 422
    assert pointers(answer.json()) == {"/templates/1/reply_to": "unknown_sender"}
    assert client.get(f"{TEMPLATES}/X_GOOD").status_code == 404
    assert client.post(CHANGES, json={"templates": [good]}).status_code == 200
    assert client.get(f"{TEMPLATES}/X_GOOD").json()["sender"] == "lims@localhost.localdomain"
