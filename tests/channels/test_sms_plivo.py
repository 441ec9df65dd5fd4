"""Plivo: its requests against a server of its kind, and callbacks signed in both of its ways."""

from collections.abc import Callable, Iterator
from urllib.parse import quote

import msgspec
import pytest

from backend.channels.base import Channel, ForgedReceipt, Outcome, ProviderError, ReceiptKind, ReceiptRequest
from backend.channels.sms_plivo import PlivoProvider
from backend.lib.settings import Settings
from tests.channels.messages import DELIVERY_ID, message
from tests.vendors.plivo import TOKEN, PlivoServer, callback_v2, callback_v3

TEXT = message(channel=Channel.SMS, address="+447700900123", text="Plate DN123 – ready\n", subject=None, html=None)
URL = f"https://carillon.example/receipts/plivo?delivery_id={DELIVERY_ID}"
NEWS = {"MessageUUID": "m-1", "Status": "delivered", "To": "447700900123", "ErrorCode": "000", "PartInfo": "1 of 1"}


@pytest.fixture(autouse=True)
def settings(configure: Callable[..., Settings]) -> Settings:
    return configure(BASE_URL="https://carillon.example")


@pytest.fixture
def server() -> Iterator[PlivoServer]:
    with PlivoServer() as made:
        yield made


@pytest.fixture
def provider() -> PlivoProvider:
    return PlivoProvider(f"plivo://MA1:{quote(TOKEN, safe='')}@api.plivo.com?from=60777")


def test_a_request_has_the_documented_fields(server: PlivoServer) -> None:
    receipt = PlivoProvider(server.address).open().send(msgspec.structs.replace(TEXT, text="a" * 161))
    assert server.taken == [
        {
            "src": "+447700900999",
            "dst": "+447700900123",
            "text": "a" * 161,
            "type": "sms",
            "url": URL,
            "method": "POST",
        }
    ]
    assert receipt.provider_message_id == "00000000-0000-4000-8000-000000000001"
    assert (receipt.segments, receipt.detail) == (2, "queued, 2 segments")


def test_a_powerpack_stands_in_place_of_a_number(server: PlivoServer) -> None:
    PlivoProvider(server.address_with("powerpack=86bbb125-97bb-4d72-89fd-81d5c515b015")).open().send(TEXT)
    assert server.taken[0]["powerpack_uuid"] == "86bbb125-97bb-4d72-89fd-81d5c515b015"
    assert "src" not in server.taken[0]


@pytest.mark.parametrize(
    ("status", "outcome", "down"),
    [
        (400, Outcome.PERMANENT, False),
        (404, Outcome.PERMANENT, False),
        (401, Outcome.CONFIG, True),
        (429, Outcome.THROTTLED, True),
        (500, Outcome.RETRY, True),
    ],
)
def test_a_status_decides_what_to_do(server: PlivoServer, status: int, outcome: Outcome, down: bool) -> None:
    server.scripted[TEXT.address] = [server.error(status, "", f"words, and {TOKEN}")]
    with pytest.raises(ProviderError) as caught:
        PlivoProvider(server.address).open().send(TEXT)
    assert (caught.value.outcome, caught.value.route_down) == (outcome, down)
    assert caught.value.detail == f"the provider answered {status} words, and ***"
    assert len(server.http.seen) == 1


def test_unicode_has_a_shorter_limit(server: PlivoServer) -> None:
    with pytest.raises(ProviderError, match="limit is 737") as caught:
        PlivoProvider(server.address).open().send(msgspec.structs.replace(TEXT, text="я" * 738))
    assert caught.value.outcome is Outcome.PERMANENT
    assert not server.http.seen


def test_the_vector_of_the_third_version_is_believed() -> None:
    provider = PlivoProvider("plivo://MA1:tok@api.plivo.com?from=60777")
    headers = {
        "x-plivo-signature-v3": "UTtRODW8NjN1NeU3keWbfTvjJdF36BMxTNPnRrEZzhE=",
        "x-plivo-signature-v3-nonce": "12345",
    }
    request = ReceiptRequest(method="POST", url="https://h.example/cb", headers=headers, body=b"Status=sent&To=1")
    assert provider.receipts(request) == []  # it names no message
    with pytest.raises(ForgedReceipt):
        provider.receipts(msgspec.structs.replace(request, body=b"Status=sent&To=2"))


@pytest.mark.parametrize("sign", [callback_v2, callback_v3])
@pytest.mark.parametrize("url", [URL, "https://carillon.example/receipts/plivo"])
def test_both_signatures_are_believed(provider: PlivoProvider, sign: Callable[..., ReceiptRequest], url: str) -> None:
    (event,) = provider.receipts(sign(url, **NEWS))
    assert (event.provider_message_id, event.kind, event.address) == ("m-1", ReceiptKind.DELIVERED, "+447700900123")
    # Only the third version signs the query, so only then it is believed.
    assert event.delivery_id == (DELIVERY_ID if sign is callback_v3 and "?" in url else None)
    assert provider.receipts(sign(url, **NEWS)) == [event]


def test_a_query_that_nobody_signed_is_not_believed(provider: PlivoProvider) -> None:
    signed = callback_v2(URL, **NEWS)
    other = msgspec.structs.replace(signed, url=URL.replace(DELIVERY_ID, "0191f0aa-0000-7def-8000-0123456789ab"))
    (event,) = provider.receipts(other)
    assert event.delivery_id is None


def test_main_account_signatures_and_lists_are_read(provider: PlivoProvider) -> None:
    signed = callback_v2(URL, **NEWS)
    headers = dict(signed.headers)
    headers["x-plivo-signature-ma-v2"] = headers.pop("x-plivo-signature-v2")
    assert provider.receipts(msgspec.structs.replace(signed, headers=headers))


def test_a_callback_by_get_has_its_news_in_the_query(provider: PlivoProvider) -> None:
    url = "https://carillon.example/receipts/plivo?ErrorCode=50&MessageUUID=m-1&Status=failed"
    request = msgspec.structs.replace(callback_v3(url), method="GET")
    (event,) = provider.receipts(request)
    assert (event.kind, event.code) == (ReceiptKind.BOUNCED, "50")
    with pytest.raises(ForgedReceipt):
        provider.receipts(msgspec.structs.replace(request, url=url.replace("failed", "delivered")))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda request: msgspec.structs.replace(request, headers={}),
        lambda request: msgspec.structs.replace(request, url="https://carillon.example/receipts/other"),
        lambda request: msgspec.structs.replace(
            request, headers={name: value[:-4] + "abc=" for name, value in request.headers.items()}
        ),
        lambda request: msgspec.structs.replace(
            request, headers={name: value for name, value in request.headers.items() if "nonce" not in name}
        ),
        lambda request: msgspec.structs.replace(request, headers=dict.fromkeys(request.headers, "")),
        lambda request: msgspec.structs.replace(request, body=b"\xff"),
    ],
)
@pytest.mark.parametrize("sign", [callback_v2, callback_v3])
def test_a_forged_callback_is_refused(
    provider: PlivoProvider,
    sign: Callable[..., ReceiptRequest],
    spoil: Callable[[ReceiptRequest], ReceiptRequest],
) -> None:
    with pytest.raises(ForgedReceipt):
        provider.receipts(spoil(sign(URL, **NEWS)))


def test_a_wrong_third_signature_is_not_saved_by_a_right_second_one(provider: PlivoProvider) -> None:
    wrong = callback_v3(URL, token="another", **NEWS)
    both = msgspec.structs.replace(wrong, headers=dict(wrong.headers) | dict(callback_v2(URL, **NEWS).headers))
    with pytest.raises(ForgedReceipt):
        provider.receipts(both)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("sent", "", ReceiptKind.SENT),
        ("delivered", "000", ReceiptKind.DELIVERED),
        ("undelivered", "20", ReceiptKind.FAILED),
        ("failed", "30", ReceiptKind.FAILED),
        ("failed", "40", ReceiptKind.FAILED),
        ("failed", "50", ReceiptKind.BOUNCED),
        ("undelivered", "999", ReceiptKind.FAILED),
    ],
)
def test_a_status_becomes_news(provider: PlivoProvider, status: str, code: str, kind: ReceiptKind) -> None:
    (event,) = provider.receipts(callback_v3(URL, **(NEWS | {"Status": status, "ErrorCode": code})))
    assert (event.kind, event.code) == (kind, code or None)


@pytest.mark.parametrize("status", ["queued", "unheard-of", ""])
def test_what_is_no_news_gives_none(provider: PlivoProvider, status: str) -> None:
    assert provider.receipts(callback_v3(URL, **(NEWS | {"Status": status}))) == []
