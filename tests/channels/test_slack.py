"""Slack over HTTP: the request's members, what each answer means, webhooks, and servers that misbehave."""

import time
from collections.abc import Callable, Iterator

import pytest

from backend.channels.base import Channel, Outcome, Paced, ProviderError, Receipt
from backend.channels.slack import SlackProvider, SlackWebhooks
from backend.lib.settings import Settings
from tests.channels.messages import message
from tests.vendors.http_server import Fault, Reply
from tests.vendors.slack import TOKEN, SlackServer, Webhook, blocks_fault

CHAT = message(channel=Channel.SLACK, address="C0123456789", html="<p>plate <b>DN123</b> &lt;!channel&gt;</p>")


@pytest.fixture
def slack(configure: Callable[..., Settings]) -> Iterator[SlackServer]:
    configure()
    with SlackServer() as server:
        yield server


@pytest.fixture
def webhook(configure: Callable[..., Settings]) -> Iterator[Webhook]:
    with Webhook(Reply(200, b"ok")) as server:
        configure(OUTBOUND_ALLOW=server.host_port)
        yield server


def send(server: SlackServer, timeout: float = 5.0) -> Receipt:
    return SlackProvider(server.address, timeout).open().send(CHAT)


def to_webhook(webhook: Webhook, timeout: float = 5.0) -> Receipt:
    chat = message(channel=Channel.SLACK, address=webhook.url)
    return SlackWebhooks(timeout).open().send(chat)


def test_a_message_is_posted_with_blocks_and_fallback(slack: SlackServer) -> None:
    receipt = send(slack)
    assert receipt.provider_message_id == "C0123456789+1769000000.000001"
    (body,) = slack.taken
    assert (body["channel"], body["unfurl_links"]) == ("C0123456789", False)
    assert body["text"] == "Your run has finished\nHello Ann,\n\nplate DN123 is ready."
    assert [block["type"] for block in body["blocks"]] == ["header", "section"]
    assert body["blocks"][1]["text"]["text"] == "plate *DN123* &lt;!channel&gt;"


@pytest.mark.parametrize(
    ("error", "outcome", "down"),
    [
        ("channel_not_found", Outcome.PERMANENT, False),
        ("not_in_channel", Outcome.PERMANENT, False),
        ("is_archived", Outcome.PERMANENT, False),
        ("msg_too_long", Outcome.PERMANENT, False),
        ("invalid_blocks", Outcome.PERMANENT, False),
        ("restricted_action_read_only_channel", Outcome.PERMANENT, False),
        ("an_error_of_tomorrow", Outcome.PERMANENT, False),
        ("not_authed", Outcome.CONFIG, True),
        ("invalid_auth", Outcome.CONFIG, True),
        ("account_inactive", Outcome.CONFIG, True),
        ("token_revoked", Outcome.CONFIG, True),
        ("missing_scope", Outcome.CONFIG, True),
        ("no_permission", Outcome.CONFIG, True),
        ("rate_limited", Outcome.THROTTLED, False),
        ("service_unavailable", Outcome.RETRY, True),
        ("request_timeout", Outcome.RETRY, True),
        ("team_added_to_org", Outcome.RETRY, True),
        ("fatal_error", Outcome.AMBIGUOUS, False),
        ("internal_error", Outcome.AMBIGUOUS, False),
    ],
)
def test_an_error_comes_with_status_200(slack: SlackServer, error: str, outcome: Outcome, down: bool) -> None:
    slack.refusals[CHAT.address] = slack.error(200, error)
    with pytest.raises(ProviderError) as caught:
        send(slack)
    assert (caught.value.outcome, caught.value.code, caught.value.route_down) == (outcome, error, down)


def test_throttling_is_of_one_channel_and_has_its_time(slack: SlackServer) -> None:
    slack.refusals[CHAT.address] = Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "30"})
    with pytest.raises(ProviderError) as caught:
        send(slack)
    assert (caught.value.outcome, caught.value.retry_after) == (Outcome.THROTTLED, 30.0)
    assert not caught.value.route_down
    provider = SlackProvider(slack.address)
    assert isinstance(provider, Paced)
    assert provider.interval(CHAT.address) == 1.0


def test_a_wrong_token_is_the_operators_affair_and_not_told(slack: SlackServer) -> None:
    provider = SlackProvider(slack.address.replace("xoxb-hunter2", "xoxb-hunter3"))
    with pytest.raises(ProviderError) as caught:
        provider.open().send(CHAT)
    assert caught.value.outcome is Outcome.CONFIG
    assert "hunter" not in caught.value.detail + provider.name + repr(provider) + provider.describe()


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (Reply(200, b"<html>a captive portal</html>"), Outcome.AMBIGUOUS),
        (Reply(200, {"ok": True}), Outcome.AMBIGUOUS),
        (Reply(200, []), Outcome.AMBIGUOUS),
        (Reply(500, b"oops"), Outcome.RETRY),
        (Reply(502, b""), Outcome.AMBIGUOUS),
        (Reply(503, b""), Outcome.RETRY),
        (Reply(302, b"", {"Location": "http://169.254.169.254/"}), Outcome.CONFIG),
        (Reply(413, b""), Outcome.PERMANENT),
    ],
)
def test_other_answers(slack: SlackServer, reply: Reply, outcome: Outcome) -> None:
    slack.refusals[CHAT.address] = reply
    with pytest.raises(ProviderError) as caught:
        send(slack)
    assert caught.value.outcome is outcome


@pytest.mark.parametrize("fault", ["hang", "trickle", "garbage", "close", "cut", "flood"])
@pytest.mark.parametrize("way", ["bot", "webhook"])
def test_a_server_that_misbehaves_leaves_it_open_in_bounded_time(
    slack: SlackServer, webhook: Webhook, fault: Fault, way: str
) -> None:
    slack.http.fault = webhook.fault = fault
    began = time.monotonic()
    with pytest.raises(ProviderError) as caught:
        send(slack, 0.5) if way == "bot" else to_webhook(webhook, 0.5)
    assert caught.value.outcome is Outcome.AMBIGUOUS
    assert time.monotonic() - began < 5
    assert len(slack.http.seen) + len(webhook.seen) == 1


def test_a_webhook_gets_the_message_without_the_token(webhook: Webhook) -> None:
    assert to_webhook(webhook).provider_message_id is None
    (seen,) = webhook.seen
    assert (seen.method, seen.path, seen.headers["content-type"]) == (
        "POST",
        "/services/T0123/B0123/hunter2secret",
        "application/json",
    )
    assert "authorization" not in seen.headers
    assert seen.json().keys() == {"text", "blocks"}
    assert blocks_fault(seen.json()["blocks"]) == ""


def test_a_bot_posts_to_webhooks_too_and_keeps_its_token_from_them(slack: SlackServer, webhook: Webhook) -> None:
    SlackProvider(slack.address).open().send(message(channel=Channel.SLACK, address=webhook.url))
    assert TOKEN not in str(webhook.seen[0])
    assert not slack.taken


@pytest.mark.parametrize(
    ("status", "words", "outcome", "bad_address"),
    [
        (400, b"invalid_payload", Outcome.PERMANENT, False),
        (400, b"user_not_found", Outcome.PERMANENT, False),
        (403, b"action_prohibited", Outcome.PERMANENT, False),
        (403, b"invalid_token", Outcome.PERMANENT, True),
        (404, b"channel_not_found", Outcome.PERMANENT, False),
        (404, b"no_service", Outcome.PERMANENT, True),
        (404, b"no_team", Outcome.PERMANENT, True),
        (410, b"channel_is_archived", Outcome.PERMANENT, False),
        (500, b"rollup_error", Outcome.RETRY, False),
        (504, b"", Outcome.AMBIGUOUS, False),
        (429, b"", Outcome.THROTTLED, False),
        (200, b"<html>", Outcome.AMBIGUOUS, False),
    ],
)
def test_a_webhook_answers_in_plain_words(
    webhook: Webhook, status: int, words: bytes, outcome: Outcome, bad_address: bool
) -> None:
    webhook.reply = Reply(status, words, {"Retry-After": "3"} if status == 429 else {})
    with pytest.raises(ProviderError) as caught:
        to_webhook(webhook)
    error = caught.value
    assert (error.outcome, error.bad_address, error.route_down) == (outcome, bad_address, False)
    assert error.retry_after == (3.0 if status == 429 else None)
    assert "hunter2secret" not in error.detail


def test_a_private_address_that_is_not_listed_is_never_reached(
    webhook: Webhook, configure: Callable[..., Settings]
) -> None:
    configure(OUTBOUND_ALLOW="")
    with pytest.raises(ProviderError) as caught:
        to_webhook(webhook)
    assert caught.value.outcome is Outcome.PERMANENT
    assert "hunter2secret" not in caught.value.detail
    assert not webhook.seen


def test_a_channel_without_a_bot_waits_for_its_operator() -> None:
    with pytest.raises(ProviderError) as caught:
        SlackWebhooks().open().send(CHAT)
    assert caught.value.outcome is Outcome.CONFIG
