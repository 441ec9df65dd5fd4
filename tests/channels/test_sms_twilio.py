"""Twilio: its requests and codes against a server of its kind, its callbacks with the published vector."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlencode

import msgspec
import pytest

from backend.channels.base import Channel, ForgedReceipt, Outcome, ProviderError, ReceiptKind, ReceiptRequest
from backend.channels.sms_twilio import TwilioProvider
from backend.lib.settings import Settings
from tests.channels.messages import DELIVERY_ID, message
from tests.vendors.http_server import Reply
from tests.vendors.twilio import SID, TOKEN, TwilioServer, callback

TEXT = message(channel=Channel.SMS, address="+447700900123", text="Plate DN123 – ready\n", subject=None, html=None)
URL = f"https://carillon.example/receipts/twilio?delivery_id={DELIVERY_ID}"


@pytest.fixture(autouse=True)
def settings(configure: Callable[..., Settings]) -> Settings:
    return configure(BASE_URL="https://carillon.example")


@pytest.fixture
def server() -> Iterator[TwilioServer]:
    with TwilioServer() as made:
        yield made


def test_a_request_has_the_documented_fields(server: TwilioServer) -> None:
    receipt = TwilioProvider(server.address).open().send(TEXT)
    assert server.taken == [
        {"To": "+447700900123", "From": "+447700900999", "Body": "Plate DN123 - ready", "StatusCallback": URL}
    ]
    assert receipt.provider_message_id == f"SM{1:032x}"
    assert receipt.segments == 1


def test_a_messaging_service_counts_later_so_we_count(server: TwilioServer) -> None:
    provider = TwilioProvider(server.address_with("service=MG0123"))
    receipt = provider.open().send(msgspec.structs.replace(TEXT, text="я" * 71))
    assert server.taken[0]["MessagingServiceSid"] == "MG0123"
    assert (receipt.segments, receipt.detail) == (2, "accepted, 2 segments")


def test_an_api_key_stands_for_the_token(server: TwilioServer) -> None:
    address = f"twilio://SK1:hunter2@{server.http.host_port}?scheme=http&from=60777&account={SID}"
    with pytest.raises(ProviderError) as caught:
        TwilioProvider(address).open().send(TEXT)
    assert server.http.seen[0].path == f"/2010-04-01/Accounts/{SID}/Messages.json"
    assert (caught.value.outcome, caught.value.code) == (Outcome.CONFIG, "20003")
    # Nothing is signed with an API key, so without the token no callback can be believed.
    with pytest.raises(ForgedReceipt, match="no key is set"):
        TwilioProvider(address).receipts(callback(URL, token="hunter2", MessageSid="SM1", MessageStatus="sent"))
    believing = TwilioProvider(f"{address}&auth_token={quote(TOKEN, safe='')}")
    assert believing.receipts(callback(URL, MessageSid="SM1", MessageStatus="sent"))


def test_without_a_public_address_no_callback_is_asked_for(
    server: TwilioServer, configure: Callable[..., Settings]
) -> None:
    configure(BASE_URL="http://127.0.0.1:8000")
    TwilioProvider(server.address).open().send(TEXT)
    assert "StatusCallback" not in server.taken[0]


@pytest.mark.parametrize(
    ("status", "code", "outcome", "marks"),
    [
        (401, "20003", Outcome.CONFIG, (True, False)),
        (400, "21606", Outcome.CONFIG, (True, False)),
        (400, "21408", Outcome.CONFIG, (False, False)),  # other countries can still be sent to
        (400, "21211", Outcome.PERMANENT, (False, True)),
        (400, "21635", Outcome.PERMANENT, (False, True)),
        (400, "21614", Outcome.PERMANENT, (False, True)),
        (400, "21612", Outcome.PERMANENT, (False, False)),
        (400, "21617", Outcome.PERMANENT, (False, False)),
        (400, "21610", Outcome.PERMANENT, (False, True)),
        (429, "20429", Outcome.THROTTLED, (True, False)),
        (400, "21611", Outcome.THROTTLED, (True, False)),
        (400, "30001", Outcome.THROTTLED, (True, False)),
        (400, "12345", Outcome.PERMANENT, (False, False)),
        (500, "20500", Outcome.RETRY, (True, False)),
    ],
)
def test_a_code_decides_what_to_do(
    server: TwilioServer, status: int, code: str, outcome: Outcome, marks: tuple[bool, bool]
) -> None:
    server.scripted[TEXT.address] = [server.error(status, code, f"words of {code}, and {TOKEN}")]
    with pytest.raises(ProviderError) as caught:
        TwilioProvider(server.address).open().send(TEXT)
    error = caught.value
    assert (error.outcome, error.code) == (outcome, code)
    assert (error.route_down, error.bad_address) == marks
    assert f"{code} words of {code}, and ***" in error.detail
    assert len(server.http.seen) == 1


def test_a_throttled_request_says_when_to_come_again(server: TwilioServer) -> None:
    body = {"code": 20429, "message": "Too Many Requests", "status": 429}
    server.scripted[TEXT.address] = [Reply(429, body, {"Retry-After": "12"})]
    with pytest.raises(ProviderError) as caught:
        TwilioProvider(server.address).open().send(TEXT)
    assert (caught.value.outcome, caught.value.retry_after) == (Outcome.THROTTLED, 12)


def test_a_text_that_is_too_long_is_not_even_sent(server: TwilioServer) -> None:
    with pytest.raises(ProviderError, match="too long") as caught:
        TwilioProvider(server.address).open().send(msgspec.structs.replace(TEXT, text="a" * 1601))
    assert caught.value.outcome is Outcome.PERMANENT
    assert not server.http.seen


# The vector of Twilio's documentation: this token, address and form give this signature.
VECTOR_URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
VECTOR = {
    "CallSid": "CA1234567890ABCDE",
    "Caller": "+14158675309",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
}
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def vector(**changes: object) -> ReceiptRequest:
    parts: dict[str, object] = {
        "method": "POST",
        "url": VECTOR_URL,
        "headers": {"x-twilio-signature": SIGNATURE},
        "body": urlencode(VECTOR).encode(),
    }
    return msgspec.convert(parts | changes, ReceiptRequest)


@pytest.fixture
def vector_provider() -> TwilioProvider:
    return TwilioProvider("twilio://AC1:12345@api.twilio.com?from=60777")


@pytest.mark.parametrize(
    "url",
    [VECTOR_URL, "https://mycompany.com:443/myapp.php?foo=1&bar=2", "https://mycompany.com/myapp.php?foo=1&bar=2"],
)
def test_the_vector_is_believed_with_and_without_its_port(vector_provider: TwilioProvider, url: str) -> None:
    assert vector_provider.receipts(vector(url=url)) == []


def test_a_signature_over_the_address_with_its_port_is_believed(vector_provider: TwilioProvider) -> None:
    signed = callback("https://mycompany.com:443/cb", token="12345", MessageSid="SM1", MessageStatus="sent")
    (event,) = vector_provider.receipts(msgspec.structs.replace(signed, url="https://mycompany.com/cb"))
    assert event.provider_message_id == "SM1"


@pytest.mark.parametrize(
    "changes",
    [
        {"url": VECTOR_URL + "&baz=3"},
        {"url": "https://mycompany.example/myapp.php?foo=1&bar=2"},
        {"body": urlencode(VECTOR | {"Digits": "12345"}).encode()},
        {"body": b""},
        {"body": b"\xff\xfe"},
        {"headers": {}},
        {"headers": {"x-twilio-signature": ""}},
        {"headers": {"x-twilio-signature": "é"}},
        {"headers": {"x-twilio-signature": SIGNATURE[:-2] + "9="}},
        {"headers": {"x-twilio-signature": SIGNATURE, "x-twilio-webhooks-signature-settings": "key=a"}},
    ],
)
def test_a_forged_callback_is_refused(vector_provider: TwilioProvider, changes: dict[str, object]) -> None:
    with pytest.raises(ForgedReceipt):
        vector_provider.receipts(vector(**changes))


def test_a_name_with_several_values_is_signed_once_for_each(vector_provider: TwilioProvider) -> None:
    text = "https://mycompany.com/cbMessageSidSM1MessageStatussentOpt1Opt2"
    signature = b64encode(hmac.new(b"12345", text.encode(), hashlib.sha1).digest()).decode()
    body = b"Opt=2&MessageSid=SM1&Opt=1&Opt=2&MessageStatus=sent"
    headers = {"x-twilio-signature": signature}
    assert vector_provider.receipts(vector(url="https://mycompany.com/cb", headers=headers, body=body))


def test_a_body_of_json_is_signed_by_its_digest(vector_provider: TwilioProvider) -> None:
    body = b'{"MessageSid": "SM1", "MessageStatus": "delivered", "n": 1}'
    url = f"https://mycompany.com/cb?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signature = b64encode(hmac.new(b"12345", url.encode(), hashlib.sha1).digest()).decode()
    request = vector(url=url, headers={"x-twilio-signature": signature}, body=body)
    (event,) = vector_provider.receipts(request)
    assert event.kind is ReceiptKind.DELIVERED
    with pytest.raises(ForgedReceipt, match="not the one that was signed"):
        vector_provider.receipts(msgspec.structs.replace(request, body=body + b" "))


def test_a_shared_key_is_believed_only_if_it_is_set() -> None:
    url, body = "https://mycompany.com/cb", b"MessageSid=SM1&MessageStatus=sent"
    signature = b64encode(hmac.new(b"shared", f"{url}MessageSidSM1MessageStatussent".encode(), hashlib.sha256).digest())
    headers = {
        "x-twilio-signature": signature.decode(),
        "x-twilio-webhooks-signature-settings": "key=k1,algorithm=HMAC_SHA256",
    }
    request = ReceiptRequest(method="POST", url=url, headers=headers, body=body)
    assert TwilioProvider("twilio://AC1:12345@api.twilio.com?from=60777&webhook_key=shared").receipts(request)
    with pytest.raises(ForgedReceipt, match="no key is set"):
        TwilioProvider("twilio://AC1:12345@api.twilio.com?from=60777").receipts(request)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("sending", "", ReceiptKind.SENT),
        ("sent", "", ReceiptKind.SENT),
        ("delivered", "", ReceiptKind.DELIVERED),
        ("read", "", ReceiptKind.DELIVERED),
        ("canceled", "", ReceiptKind.FAILED),
        ("undelivered", "30003", ReceiptKind.FAILED),  # switched off; another day it may be on
        ("undelivered", "30007", ReceiptKind.FAILED),
        ("undelivered", "30008", ReceiptKind.FAILED),
        ("failed", "30005", ReceiptKind.BOUNCED),
        ("failed", "30006", ReceiptKind.BOUNCED),
        ("failed", "21610", ReceiptKind.BOUNCED),
    ],
)
def test_a_status_becomes_news(status: str, code: str, kind: ReceiptKind) -> None:
    provider = TwilioProvider(f"twilio://{SID}:{quote(TOKEN, safe='')}@api.twilio.com?from=60777")
    fields = {"MessageSid": "SM1", "MessageStatus": status, "To": "+447700900123", "Extra": "x", "ErrorCode": code}
    (event,) = provider.receipts(callback(URL, **fields))
    assert (event.provider_message_id, event.kind, event.code) == ("SM1", kind, code or None)
    assert (event.address, event.delivery_id) == ("+447700900123", DELIVERY_ID)
    assert provider.receipts(callback(URL, **fields)) == [event]  # and a replay is the same event


@pytest.mark.parametrize("status", ["accepted", "queued", "scheduled", "unheard-of", ""])
def test_what_is_no_news_gives_none(status: str) -> None:
    provider = TwilioProvider(f"twilio://{SID}:{quote(TOKEN, safe='')}@api.twilio.com?from=60777")
    assert provider.receipts(callback(URL, MessageSid="SM1", MessageStatus=status)) == []
