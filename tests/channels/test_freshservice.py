"""Freshservice over HTTP: a ticket's members, notes on open tickets, asking after a lost answer, faults."""

import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.channels.attachments import Attachment
from backend.channels.base import Channel, Outcome, ProviderError, Receipt, StatusLookup
from backend.channels.freshservice import FreshserviceProvider
from backend.lib.settings import Settings
from tests.attachments import PDF, PNG
from tests.channels.messages import DELIVERY_ID, message
from tests.vendors.freshservice import KEY, FreshserviceServer
from tests.vendors.http_server import Fault, Reply

TAG = DELIVERY_ID.replace("-", "")


@pytest.fixture
def desk(configure: Callable[..., Settings]) -> Iterator[FreshserviceServer]:
    configure()
    with FreshserviceServer() as server:
        yield server


def ticket(**changes: Any) -> Any:
    return message(**({"channel": Channel.FRESHSERVICE, "address": "alerts@lab.example"} | changes))


def send(desk: FreshserviceServer, timeout: float = 5.0, **changes: Any) -> Receipt:
    return FreshserviceProvider(desk.address, timeout).open().send(ticket(**changes))


def test_a_ticket_has_what_the_address_and_the_message_say(desk: FreshserviceServer) -> None:
    options = "group_id=42;priority=2;type=Incident;workspace_id=3;source=14;urgency=2;category=Lab Robots;thread=off"
    html = (
        "<!doctype html><html><head><title>t</title><style>p{}</style></head><body>a &lt;b&gt; <p>c</p>d</body></html>"
    )
    receipt = send(desk, address=f"alerts@lab.example;{options}", html=html, subject="Freezer\n3")
    assert receipt.provider_message_id == "4201"
    (seen,) = desk.http.seen
    assert b64decode(seen.headers["authorization"].removeprefix("Basic ")).decode() == f"{KEY}:X"
    assert seen.json() == {
        "email": "alerts@lab.example",
        "subject": "Freezer 3",
        "description": "a &lt;b&gt; <p>c</p>d",
        "status": 2,
        "priority": 2,
        "source": 14,
        "tags": [TAG],
        "group_id": 42,
        "type": "Incident",
        "workspace_id": 3,
        "urgency": 2,
        "category": "Lab Robots",
    }


@pytest.mark.parametrize(("urgent", "priority"), [(False, 1), (True, 3)])
def test_without_options_the_urgency_of_the_message_decides(
    desk: FreshserviceServer, urgent: bool, priority: int
) -> None:
    send(desk, html=None, text="a < b\n<script>x</script>\n", urgent=urgent)
    (body,) = desk.taken
    assert body["description"] == "<div>a &lt; b<br>&lt;script&gt;x&lt;/script&gt;</div>"
    assert (body["priority"], body["source"], "group_id" in body) == (priority, 2, False)


@pytest.mark.parametrize("status", [2, 3])
def test_what_belongs_to_an_open_ticket_becomes_a_note_on_it(desk: FreshserviceServer, status: int) -> None:
    first = send(desk)
    desk.tickets[4201]["status"] = status
    second = send(desk, thread=first.provider_message_id, delivery_id="0191f0aa-0000-7def-8000-000000000002")
    assert (second.provider_message_id, len(desk.taken)) == ("4201", 1)
    (note,) = desk.notes[4201]
    assert note["private"] is False
    assert note["body"].startswith("<p><strong>Your run has finished</strong></p>")
    assert "<b>DN123</b>" in note["body"]
    assert "0191f0aa00007def8000000000000002" in note["body"]


@pytest.mark.parametrize(
    ("status", "address"),
    [(4, "a@lab.example"), (5, "a@lab.example"), (2, "a@lab.example;thread=off"), (0, "a@lab.example")],
)
def test_a_closed_or_lost_ticket_or_the_address_calls_for_a_new_one(
    desk: FreshserviceServer, status: int, address: str
) -> None:
    send(desk)
    desk.tickets[4201]["status"] = status
    if not status:
        del desk.tickets[4201]
    assert send(desk, thread="4201", address=address).provider_message_id == "4202"
    assert not desk.notes[4201]


def test_after_a_lost_answer_the_ticket_is_found_by_its_tag(desk: FreshserviceServer) -> None:
    connection = FreshserviceProvider(desk.address).open()
    assert isinstance(connection, StatusLookup)
    assert connection.find(ticket()) is None
    desk.http.fault, desk.http.faults = "cut", 1
    with pytest.raises(ProviderError) as caught:
        connection.send(ticket())
    assert caught.value.outcome is Outcome.AMBIGUOUS
    found = connection.find(ticket())
    assert found is not None
    assert (found.provider_message_id, len(desk.taken)) == ("4201", 1)


def test_after_a_lost_answer_the_note_is_found_on_its_ticket(desk: FreshserviceServer) -> None:
    send(desk)
    later = ticket(thread="4201", delivery_id="0191f0aa-0000-7def-8000-000000000002")
    connection = FreshserviceProvider(desk.address).open()
    assert connection.find(later) is None
    connection.send(later)
    found = connection.find(later)
    assert found is not None
    assert found.provider_message_id == "4201"


@pytest.mark.parametrize("reply", [Reply(500), Reply(502), Reply(404), Reply(200, b"<html>")])
def test_a_desk_that_cannot_say_is_asked_again_later(desk: FreshserviceServer, reply: Reply) -> None:
    desk.respond = lambda _seen: reply  # type: ignore[method-assign]
    desk.http.respond = desk.respond
    with pytest.raises(ProviderError) as caught:
        FreshserviceProvider(desk.address).open().find(ticket())
    assert caught.value.outcome is Outcome.RETRY


@pytest.mark.parametrize(
    ("reply", "outcome", "said"),
    [
        (
            Reply(
                400, {"description": "Validation failed", "errors": [{"field": "group_id", "message": "no such group"}]}
            ),
            Outcome.PERMANENT,
            "Validation failed; group_id: no such group",
        ),
        (Reply(401, {"code": "invalid_credentials", "message": "Log in"}), Outcome.CONFIG, "Log in"),
        (Reply(403, {"code": "access_denied", "message": "Not allowed"}), Outcome.CONFIG, "Not allowed"),
        (Reply(429, b"", {"Retry-After": "12"}), Outcome.THROTTLED, "429"),
        (Reply(500, b"oops"), Outcome.RETRY, "500"),
        (Reply(504, b""), Outcome.AMBIGUOUS, "504"),
        (Reply(201, b"[]"), Outcome.AMBIGUOUS, "201"),
        (Reply(201, {"ticket": {"id": "?"}}), Outcome.AMBIGUOUS, "201"),
    ],
)
def test_what_its_answers_mean(desk: FreshserviceServer, reply: Reply, outcome: Outcome, said: str) -> None:
    desk.refusals["alerts@lab.example"] = reply
    with pytest.raises(ProviderError) as caught:
        send(desk)
    assert caught.value.outcome is outcome
    assert said in caught.value.detail
    assert caught.value.retry_after == (12.0 if outcome is Outcome.THROTTLED else None)


@pytest.mark.parametrize("fault", ["hang", "trickle", "garbage", "close", "cut", "flood"])
def test_a_desk_that_misbehaves_leaves_it_open_in_bounded_time(desk: FreshserviceServer, fault: Fault) -> None:
    desk.http.fault = fault
    began = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        send(desk, 0.5)
    assert caught.value.outcome is Outcome.AMBIGUOUS
    assert time.monotonic() - began < 5
    with pytest.raises(ProviderError) as caught:
        send(desk, 0.5, thread="4201")
    assert caught.value.outcome is Outcome.RETRY, "nothing was sent while it was asked for its ticket"


def test_files_go_with_a_ticket_and_with_a_note(desk: FreshserviceServer) -> None:
    files = (
        Attachment(name="Über die Probe.pdf", type="application/pdf", content=PDF),
        Attachment(name="logo.png", type="image/png", content=PNG, inline=True),
    )
    first = send(desk, attachments=files, address="alerts@lab.example;group_id=42", text="well: A1", html=None)
    expected = [{"name": one.name, "content_type": one.type, "size": len(one.content)} for one in files]
    (made,) = desk.taken
    assert made["attachments"] == expected
    assert all(b"\r\n\r\n%s\r\n--" % one.content in desk.http.seen[0].body for one in files)
    assert (made["group_id"], made["tags"], made["description"]) == (42, [TAG], "<div>well: A1</div>")
    send(desk, attachments=files[:1], thread=first.provider_message_id)
    (note,) = desk.notes[4201]
    assert (note["attachments"], note["private"]) == (expected[:1], "false")
