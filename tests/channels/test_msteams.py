"""Teams over HTTP: the card, its size, what a workflow's answers mean, and workflows that misbehave."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.channels import adaptive_card
from backend.channels.base import Channel, OfferedLink, Outcome, Paced, ProviderError, Receipt
from backend.channels.msteams import TeamsWebhooks
from backend.lib.settings import Settings
from backend.rendering.engine import render
from backend.rendering.model import RenderJob, Source
from tests.channels.messages import message
from tests.vendors.http_server import Fault, Reply
from tests.vendors.slack import Webhook


@pytest.fixture
def flow(configure: Callable[..., Settings]) -> Iterator[Webhook]:
    with Webhook(Reply(202, b"", {"x-ms-workflow-run-id": "0858RUN"})) as server:
        configure(OUTBOUND_ALLOW=server.host_port)
        server.url += "?api-version=1&sig=hunter2sig"
        yield server


def send(flow: Webhook, timeout: float = 5.0, **changes: Any) -> Receipt:
    return TeamsWebhooks(timeout).open().send(message(channel=Channel.MSTEAMS, address=flow.url, **changes))


def card(html: str | None, subject: str | None = None, text: str = "") -> list[dict[str, Any]]:
    """The elements of a card, after a check of all around them."""
    raw = adaptive_card.body(subject, text, html)
    assert len(raw) <= 20 * 1024
    envelope = json.loads(raw)
    (attachment,) = envelope.pop("attachments")
    assert envelope == {"type": "message"}
    content = attachment.pop("content")
    assert attachment == {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None}
    found: list[dict[str, Any]] = content.pop("body")
    assert content == {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "msteams": {"width": "Full"},
    }
    return found


def of_markdown(source: str, **fields: object) -> list[dict[str, Any]]:
    return card(render(RenderJob("", Source("markdown", source), fields)).html)


def test_a_message_becomes_a_card(flow: Webhook) -> None:
    receipt = send(flow)
    assert (receipt.provider_message_id, "taken" in receipt.detail) == ("0858RUN", True)
    (seen,) = flow.seen
    assert (seen.method, seen.query) == ("POST", "api-version=1&sig=hunter2sig")
    body = seen.json()["attachments"][0]["content"]["body"]
    assert body[0] == {
        "type": "TextBlock",
        "text": "Your run has finished",
        "wrap": True,
        "size": "Large",
        "weight": "Bolder",
        "style": "heading",
    }
    assert [one["text"] for one in body[1:]] == ["Hello Ann,", "plate **DN123** is ready."]
    assert all(one["wrap"] for one in body)


@pytest.mark.parametrize(
    ("markdown", "texts"),
    [
        ("**b** *i* [l](https://x.example/(a))", ["**b** _i_ [l](https://x.example/%28a%29)"]),
        ("a  \nb", ["a\n\nb"]),
        ("- a\n  - b\n\nx", ["- a\n    - b", "x"]),
        ("2. a\n3. b", ["2. a\n3. b"]),
        ("`code` and sample_id", ["code and sample_id"]),
        (r"\*not bold\*, \[x\](https://a.example)", [r"\*not bold*, \[x](https://a.example)"]),
        ("1985\\. It was", ["1985\\. It was"]),
    ],
)
def test_text_keeps_the_markup_that_teams_knows(markdown: str, texts: list[str]) -> None:
    assert [one["text"] for one in of_markdown(markdown)] == texts


def test_tables_quotes_code_and_rules_are_readable() -> None:
    found = of_markdown("| k | v |\n|---|---|\n| a | 1 |\n| b | 2 |\n\n> said\n\n```\nx = 1\n```\n\n---\n\n## end")
    assert [one["type"] for one in found] == ["ColumnSet", "FactSet", "Container", "TextBlock", "TextBlock"]
    assert found[1]["facts"] == [{"title": "a", "value": "1"}, {"title": "b", "value": "2"}]
    assert found[2]["items"][0]["text"] == "said"
    assert found[3]["fontType"] == "Monospace"
    assert (found[4]["separator"], found[4]["size"]) == (True, "Medium")
    (wide,) = card("<table><tr><td>a</td><td>b</td><td>c</td></tr></table>")
    assert [column["items"][0]["text"] for column in wide["columns"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "html",
    [
        "<p>" + "wörd &amp; <b>bold</b> " * 5000 + "</p>",
        "<p>line</p>" * 5000,
        "<pre>" + "x" * 60_000 + "</pre>",
        "<ul>" + "<li>item 🧪</li>" * 3000 + "</ul>",
        "<table>" + "<tr><td>k</td><td>v</td></tr>" * 3000 + "</table>",
        f"<table><tr><td>k</td><td>{'v' * 50_000}</td></tr></table>",
    ],
)
def test_what_is_too_much_is_left_out_and_told(html: str) -> None:
    found = card(html, "Subject")
    assert found[0]["text"] == "Subject"
    assert "too long for Teams and was shortened" in found[-1]["text"]
    assert all(one["text"].count("**") % 2 == 0 for one in found if "text" in one)
    assert all("\ufffd" not in str(one) for one in found)


@given(st.text(max_size=300), st.text(alphabet="<>&*_~`|# -\n\\[]()ab1.", max_size=300))
def test_any_text_becomes_a_card(subject: str, text: str) -> None:
    assert isinstance(card(None, subject, text), list)
    card(render(RenderJob("", Source("markdown", "{{ x }}"), {"x": text})).html, subject)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, Outcome.PERMANENT),
        (413, Outcome.PERMANENT),
        (401, Outcome.CONFIG),
        (403, Outcome.CONFIG),
        (404, Outcome.CONFIG),
        (429, Outcome.THROTTLED),
        (500, Outcome.RETRY),
        (503, Outcome.RETRY),
        (502, Outcome.AMBIGUOUS),
        (302, Outcome.PERMANENT),
    ],
)
def test_what_its_answers_mean(flow: Webhook, status: int, outcome: Outcome) -> None:
    flow.reply = Reply(status, {"error": {"code": "X", "message": f"see {flow.url}"}}, {"Retry-After": "9"})
    with pytest.raises(ProviderError) as caught:
        send(flow)
    error = caught.value
    assert (error.outcome, error.route_down) == (outcome, False)
    assert error.retry_after == (9.0 if outcome in {Outcome.THROTTLED, Outcome.RETRY} else None)
    assert "hunter2" not in error.detail


@pytest.mark.parametrize("reply", [Reply(200, b"done"), Reply(202)])
def test_a_workflow_without_a_run_id_has_taken_it_too(flow: Webhook, reply: Reply) -> None:
    flow.reply = reply
    assert send(flow).provider_message_id is None


@pytest.mark.parametrize("fault", ["hang", "trickle", "garbage", "close"])
def test_a_workflow_that_misbehaves_leaves_it_open_in_bounded_time(flow: Webhook, fault: Fault) -> None:
    flow.fault = fault
    began = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        send(flow, 0.5)
    assert caught.value.outcome is Outcome.AMBIGUOUS
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("fault", ["cut", "flood"])
def test_the_status_counts_whatever_becomes_of_the_body(flow: Webhook, fault: Fault) -> None:
    flow.fault = fault
    assert send(flow, 2.0).provider_message_id == "0858RUN"
    assert flow.flooded < 8 * 1024 * 1024


def test_it_is_paced_and_keeps_its_secret(flow: Webhook) -> None:
    provider = TeamsWebhooks()
    assert isinstance(provider, Paced)
    assert provider.interval(flow.url) == 0.25
    assert "hunter2" not in repr(message(channel=Channel.MSTEAMS, address=flow.url))


def test_a_private_address_that_is_not_listed_is_never_reached(
    flow: Webhook, configure: Callable[..., Settings]
) -> None:
    configure(OUTBOUND_ALLOW="")
    with pytest.raises(ProviderError) as caught:
        send(flow)
    assert caught.value.outcome is Outcome.PERMANENT
    assert not flow.seen


def test_what_is_to_be_acknowledged_has_a_button_that_opens_its_link(flow: Webhook) -> None:
    offered = OfferedLink("https://carillon.example/acknowledge/1", "Acknowledge this message", "Warm.", None)
    send(flow, text="Warm.\n\nAcknowledge this message:\nhttps://…", html=None, offered=offered)
    send(flow, text="Warm.", html=None)
    first, second = (seen.json()["attachments"][0]["content"] for seen in flow.seen)
    button = {"type": "Action.OpenUrl", "title": offered.words, "url": offered.url}
    assert (first["actions"], [one["text"] for one in first["body"]][-1]) == ([button], "Warm.")
    assert "actions" not in second
    long = json.loads(adaptive_card.body("Alarm", "word " * 9000, None, [button]))
    assert len(json.dumps(long)) < 21_000
    assert long["attachments"][0]["content"]["actions"] == [button]
