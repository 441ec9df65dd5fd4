"""SendGrid: its requests against a server of its kind, its signed events with the published vector."""

from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from backend.channels.attachments import Attachment
from backend.channels.base import ForgedReceipt, Outcome, ProviderError, ReceiptKind, ReceiptRequest
from backend.channels.email_sendgrid import SendGridProvider
from backend.lib.settings import Settings
from tests.attachments import PDF, PNG
from tests.channels.messages import DELIVERY_ID, message
from tests.conftest import MovableClock
from tests.vendors.http_server import Reply
from tests.vendors.sendgrid import KEY, SendGridServer

MAIL = message(reply_to="Lab desk <desk@lab.example>")

VECTOR_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEDr2LjtURuePQzplybdC+u4CwrqDqBaWjcMMsTbhdbcwHBcepxo7yAQGhHPTnlvFYPAZFceEu/1FwCM/"
    "QmGUhA=="
)
VECTOR = ReceiptRequest(
    method="POST",
    url="https://carillon.example/receipts/sendgrid",
    headers={
        "x-twilio-email-event-webhook-timestamp": "1588788367",
        "x-twilio-email-event-webhook-signature": (
            "MEUCIQCtIHJeH93Y+qpYeWrySphQgpNGNr/U+UyUlBkU6n7RAwIgJTz2C+8a8xonZGi6BpSzoQsbVRamr2nlxFDWYNH2j/0="
        ),
    },
    body=b'{"category":"example_payload","event":"test_event","message_id":"message_id"}',
)


@pytest.fixture(autouse=True)
def settings(configure: Callable[..., Settings]) -> Settings:
    return configure(BASE_URL="https://carillon.example")


@pytest.fixture
def server() -> Iterator[SendGridServer]:
    with SendGridServer() as made:
        yield made


def test_a_request_has_the_documented_members(server: SendGridServer) -> None:
    receipt = SendGridProvider(server.address).open().send(MAIL)
    assert server.http.seen[0].json() == {
        "personalizations": [{"to": [{"email": "ann@lab.example"}], "custom_args": {"delivery_id": DELIVERY_ID}}],
        "from": {"email": "no-reply@carillon.example", "name": "Carillon"},
        "reply_to": {"email": "desk@lab.example", "name": "Lab desk"},
        "subject": "Your run has finished",
        "content": [
            {"type": "text/plain", "value": MAIL.text},
            {"type": "text/html", "value": MAIL.html},
        ],
        "headers": {
            "Message-ID": f"<{MAIL.message_id}>",
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "OOF, AutoReply",
        },
    }
    assert receipt.provider_message_id == "sg-1"


def test_every_attempt_has_the_same_message_id(server: SendGridServer) -> None:
    connection = SendGridProvider(server.address).open()
    server.put_off(MAIL.address)
    with pytest.raises(ProviderError):
        connection.send(MAIL)
    connection.send(MAIL)
    first, second = (seen.json()["headers"]["Message-ID"] for seen in server.http.seen)
    assert first == second == f"<{MAIL.message_id}>"


def test_a_message_without_html_has_one_content(server: SendGridServer) -> None:
    SendGridProvider(server.address).open().send(message(html=None))
    assert [part.type for part in server.taken[0].content] == ["text/plain"]


@pytest.mark.parametrize(
    ("status", "outcome", "down"),
    [
        (400, Outcome.PERMANENT, False),
        (413, Outcome.PERMANENT, False),
        (401, Outcome.CONFIG, True),
        (403, Outcome.CONFIG, True),
        (500, Outcome.RETRY, True),
    ],
)
def test_a_status_decides_what_to_do(server: SendGridServer, status: int, outcome: Outcome, down: bool) -> None:
    server.scripted[MAIL.address] = [server.error(status, "from.email", f"wrong, {KEY}")]
    with pytest.raises(ProviderError) as caught:
        SendGridProvider(server.address).open().send(MAIL)
    assert (caught.value.outcome, caught.value.route_down) == (outcome, down)
    assert caught.value.detail == f"the provider answered {status} from.email wrong, ***"
    assert len(server.http.seen) == 1


def test_a_throttled_request_waits_for_the_reset(server: SendGridServer, moving_clock: MovableClock) -> None:
    reset = str(int(moving_clock.moment.timestamp()) + 40)
    limits = {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    server.scripted[MAIL.address] = [Reply(429, {"errors": [{"message": "too many requests"}]}, limits)]
    with pytest.raises(ProviderError) as caught:
        SendGridProvider(server.address).open().send(MAIL)
    assert (caught.value.outcome, caught.value.retry_after) == (Outcome.THROTTLED, 40)


@pytest.fixture
def vector_provider(moving_clock: MovableClock) -> SendGridProvider:
    moving_clock.moment = datetime.fromtimestamp(1588788367, UTC)
    # As it is copied from SendGrid's page: its + and / are not percent-encoded.
    return SendGridProvider(f"sendgrid://KEY@api.sendgrid.com?webhook_key={VECTOR_KEY}")


def test_the_vector_is_believed(vector_provider: SendGridProvider) -> None:
    assert vector_provider.receipts(VECTOR) == []  # it is a test and tells of no message


@pytest.mark.parametrize(
    ("moved", "believed"), [(299, True), (-299, True), (301, False), (-301, False), (86400, False)]
)
def test_a_signature_is_good_for_five_minutes(
    vector_provider: SendGridProvider, moving_clock: MovableClock, moved: float, believed: bool
) -> None:
    moving_clock.forward(seconds=moved)
    if believed:
        vector_provider.receipts(VECTOR)
        return
    with pytest.raises(ForgedReceipt, match="five minutes"):
        vector_provider.receipts(VECTOR)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (VECTOR.body + b" ", {}),
        (VECTOR.body.replace(b"test", b"tess"), {}),
        (VECTOR.body, {"x-twilio-email-event-webhook-timestamp": "1588788368"}),
        (VECTOR.body, {"x-twilio-email-event-webhook-timestamp": ""}),
        (VECTOR.body, {"x-twilio-email-event-webhook-signature": ""}),
        (VECTOR.body, {"x-twilio-email-event-webhook-signature": "MEUCIQ=="}),
        (VECTOR.body, {"x-twilio-email-event-webhook-signature": "é"}),
        (VECTOR.body, {"x-twilio-email-event-webhook-signature": "not base64"}),
    ],
)
def test_a_forged_call_is_refused(vector_provider: SendGridProvider, body: bytes, headers: dict[str, str]) -> None:
    forged = msgspec.structs.replace(VECTOR, body=body, headers=dict(VECTOR.headers) | headers)
    with pytest.raises(ForgedReceipt, match="signature"):
        vector_provider.receipts(forged)


def test_another_accounts_call_is_refused(server: SendGridServer, vector_provider: SendGridProvider) -> None:
    with pytest.raises(ForgedReceipt, match="signature"):
        vector_provider.receipts(server.events({"event": "delivered", "sg_message_id": "a.b"}))


def test_without_a_key_nothing_is_believed(server: SendGridServer) -> None:
    provider = SendGridProvider(server.address.partition("&webhook_key")[0])
    with pytest.raises(ForgedReceipt, match="no webhook_key"):
        provider.receipts(server.events())


EVENT = {
    "email": "ann@lab.example",
    "timestamp": 1772442000,
    "smtp-id": "<x@y>",
    "sg_event_id": "event-1",
    "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
    "delivery_id": DELIVERY_ID,
    "category": ["x"],
}


@pytest.mark.parametrize(
    ("changes", "kind", "detail"),
    [
        ({"event": "delivered", "response": "250 OK"}, ReceiptKind.DELIVERED, "250 OK"),
        ({"event": "deferred", "response": "451 later", "attempt": "5"}, ReceiptKind.DELAYED, "451 later"),
        ({"event": "bounce", "type": "bounce", "reason": "550 no", "status": "5.1.1"}, ReceiptKind.BOUNCED, "550 no"),
        ({"event": "bounce", "type": "blocked", "reason": "552 full"}, ReceiptKind.FAILED, "552 full"),
        ({"event": "dropped", "reason": "Bounced Address"}, ReceiptKind.BOUNCED, "Bounced Address"),
        ({"event": "dropped", "reason": "Unsubscribed Address"}, ReceiptKind.BOUNCED, "Unsubscribed Address"),
        ({"event": "dropped", "reason": "Spam Content"}, ReceiptKind.FAILED, "Spam Content"),
        ({"event": "spamreport"}, ReceiptKind.COMPLAINED, "spamreport"),
    ],
)
def test_an_event_becomes_news(server: SendGridServer, changes: dict[str, Any], kind: ReceiptKind, detail: str) -> None:
    provider = SendGridProvider(server.address)
    (event,) = provider.receipts(server.events(EVENT | changes))
    assert (event.kind, event.detail, event.code) == (kind, detail, changes.get("status"))
    assert (event.provider_message_id, event.event_id) == ("14c5d75ce93", "event-1")
    assert (event.address, event.delivery_id) == ("ann@lab.example", DELIVERY_ID)
    assert event.at == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_what_is_no_news_spoils_nothing(server: SendGridServer) -> None:
    provider = SendGridProvider(server.address)
    nothing: list[Any] = [
        *(EVENT | {"event": kind} for kind in ("processed", "open", "click", "unsubscribe", "unheard-of")),
        {"event": "delivered"},
        {"event": 7},
        "event",
        None,
    ]
    odd = EVENT | {"event": "delivered", "timestamp": 1e300, "delivery_id": "../../etc"}
    (event,) = provider.receipts(server.events(*nothing, odd))
    assert (event.at, event.delivery_id) == (None, None)


def test_files_go_in_base64_and_images_with_their_identifier(server: SendGridServer) -> None:
    files = (
        Attachment(name="Über die Probe.pdf", type="application/pdf", content=PDF),
        Attachment(name="logo.png", type="image/png", content=PNG, inline=True),
    )
    SendGridProvider(server.address).open().send(message(attachments=files))
    report, logo = server.http.seen[0].json()["attachments"]
    assert (b64decode(report.pop("content")), b64decode(logo.pop("content"))) == (PDF, PNG)
    assert report == {"type": "application/pdf", "filename": "Über die Probe.pdf", "disposition": "attachment"}
    inline = {"disposition": "inline", "content_id": "logo.png"}
    assert logo == {"type": "image/png", "filename": "logo.png"} | inline
