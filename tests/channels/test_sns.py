"""What SES tells over SNS: signed with SHA-256 by a certificate of SNS, about our topic, or refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from backend.channels import sns
from backend.channels.base import ForgedReceipt, ReceiptKind
from backend.channels.email_ses import SesProvider
from backend.lib.outbound import Answer, OutboundError
from tests.channels.messages import DELIVERY_ID
from tests.conftest import MovableClock
from tests.vendors.ses import CERTIFICATE, CONFIRMATION, TOPIC, Sns, posted

ADDRESS = f"ses://AKID:hunter2@eu-west-1?topic={TOPIC}"
MAIL = {
    "messageId": "0100ses-1",
    "timestamp": "2026-03-02T08:59:00.000Z",
    "source": "no-reply@carillon.example",
    "destination": ["ann@lab.example"],
    "tags": {"delivery_id": [DELIVERY_ID], "ses:configuration-set": ["watched"]},
}


@pytest.fixture(scope="module")
def signer() -> Sns:
    return Sns(datetime(2026, 3, 2, 9, 0, tzinfo=UTC))


@pytest.fixture
def amazon(signer: Sns, moving_clock: MovableClock) -> Sns:
    signer.fetched.clear()
    return signer


@pytest.fixture
def provider(amazon: Sns) -> SesProvider:
    return SesProvider(ADDRESS, get=amazon.get)


def delivery(**changes: Any) -> dict[str, Any]:
    told = {"timestamp": "2026-03-02T09:00:00.000Z", "recipients": ["ann@lab.example"], "smtpResponse": "250 ok"}
    return {"eventType": "Delivery", "mail": MAIL, "delivery": told} | changes


def test_a_delivery_becomes_news(provider: SesProvider, amazon: Sns) -> None:
    (event,) = provider.receipts(posted(amazon.notification(delivery())))
    assert (event.provider_message_id, event.kind, event.address) == (
        "0100ses-1",
        ReceiptKind.DELIVERED,
        "ann@lab.example",
    )
    assert (event.delivery_id, event.detail) == (DELIVERY_ID, "250 ok")
    assert event.at == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_the_certificate_is_fetched_once(provider: SesProvider, amazon: Sns) -> None:
    first = provider.receipts(posted(amazon.notification(delivery())))
    assert provider.receipts(posted(amazon.notification(delivery()))) == first
    assert amazon.fetched == [CERTIFICATE]


BOUNCED = {"emailAddress": "ann@lab.example", "status": "5.1.1", "diagnosticCode": "smtp; 550 no such user"}


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        ({"eventType": "Send", "send": {}}, (ReceiptKind.SENT, None, "Send")),
        (
            {
                "eventType": "DeliveryDelay",
                "deliveryDelay": {"delayType": "MailboxFull", "delayedRecipients": [BOUNCED]},
            },
            (ReceiptKind.DELAYED, "5.1.1", "MailboxFull smtp; 550 no such user"),
        ),
        (
            {
                "eventType": "Bounce",
                "bounce": {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [BOUNCED]},
            },
            (ReceiptKind.BOUNCED, "5.1.1", "Permanent/General smtp; 550 no such user"),
        ),
        (
            {
                "notificationType": "Bounce",
                "bounce": {
                    "bounceType": "Transient",
                    "bounceSubType": "MailboxFull",
                    "bouncedRecipients": [{"emailAddress": "ann@lab.example"}],
                },
            },
            (ReceiptKind.FAILED, "MailboxFull", "Transient/MailboxFull"),
        ),
        (
            {"eventType": "Bounce", "bounce": {"bounceType": "Undetermined", "bouncedRecipients": [BOUNCED]}},
            (ReceiptKind.FAILED, "5.1.1", "Undetermined smtp; 550 no such user"),
        ),
        (
            {
                "eventType": "Complaint",
                "complaint": {
                    "complaintFeedbackType": "abuse",
                    "complainedRecipients": [{"emailAddress": "ann@lab.example"}],
                },
            },
            (ReceiptKind.COMPLAINED, None, "abuse"),
        ),
        ({"eventType": "Reject", "reject": {"reason": "Bad content"}}, (ReceiptKind.FAILED, None, "Bad content")),
        (
            {"eventType": "Rendering Failure", "failure": {"errorMessage": "x is missing"}},
            (ReceiptKind.FAILED, None, "x is missing"),
        ),
    ],
)
def test_every_event_becomes_news(
    provider: SesProvider, amazon: Sns, event: dict[str, Any], wanted: tuple[ReceiptKind, str | None, str]
) -> None:
    (news,) = provider.receipts(
        posted(amazon.notification({"mail": MAIL} | event, Subject="Amazon SES Email Event Notification"))
    )
    assert (news.kind, news.code, news.detail) == wanted
    assert news.address == "ann@lab.example"


def test_one_notification_may_be_about_many(provider: SesProvider, amazon: Sns) -> None:
    people = [BOUNCED, BOUNCED | {"emailAddress": "bob@lab.example"}]
    event = {"eventType": "Bounce", "mail": MAIL, "bounce": {"bounceType": "Permanent", "bouncedRecipients": people}}
    first, second = provider.receipts(posted(amazon.notification(event)))
    assert (first.address, second.address) == ("ann@lab.example", "bob@lab.example")
    assert first.event_id != second.event_id


@pytest.mark.parametrize(
    "event",
    [
        {"eventType": "Open", "mail": MAIL},
        {"eventType": "Click", "mail": MAIL},
        {"notificationType": "AmazonSnsSubscriptionSucceeded"},
        {"eventType": "Delivery", "mail": {}},
        {"eventType": "Delivery", "mail": []},
        {},
    ],
)
def test_what_is_no_news_gives_none(provider: SesProvider, amazon: Sns, event: dict[str, Any]) -> None:
    assert provider.receipts(posted(amazon.notification(event))) == []


@pytest.mark.parametrize("text", ["Successfully validated SNS topic", "[" * 4000, ""])
def test_a_notification_that_is_no_event_gives_none(provider: SesProvider, amazon: Sns, text: str) -> None:
    assert provider.receipts(posted(amazon.notification({}, Message=text))) == []


def test_a_subscription_is_confirmed_after_it_is_verified(provider: SesProvider, amazon: Sns) -> None:
    assert provider.receipts(posted(amazon.confirmation())) == []
    assert amazon.fetched == [CERTIFICATE, CONFIRMATION]


def test_the_end_of_a_subscription_is_not_undone(provider: SesProvider, amazon: Sns) -> None:
    assert provider.receipts(posted(amazon.confirmation(Type="UnsubscribeConfirmation"))) == []
    assert amazon.fetched == [CERTIFICATE]


def test_chinas_regions_have_hosts_of_their_own(amazon: Sns) -> None:
    topic = "arn:aws-cn:sns:cn-north-1:123456789012:events"
    provider = SesProvider(f"ses://id:secret@cn-north-1?topic={topic}", get=amazon.get)
    signed = amazon.notification(delivery(), TopicArn=topic)
    (event,) = provider.receipts(posted(signed | {"SigningCertURL": "https://sns.cn-north-1.amazonaws.com.cn/a.pem"}))
    assert event.kind is ReceiptKind.DELIVERED
    for elsewhere in ("https://sns.cn-north-1.amazonaws.com/a.pem", "https://sns.eu-west-1.amazonaws.com.cn/a.pem"):
        with pytest.raises(ForgedReceipt, match="certificate"):
            provider.receipts(posted(signed | {"SigningCertURL": elsewhere}))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/?Action=ConfirmSubscription",
        "http://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
        "https://sns.eu-west-1.amazonaws.com.evil.example/",
        "https://sns.eu-west-1.amazonaws.com@evil.example/",
        "https://sns.eu-west-1.amazonaws.com:8443/",
        "https://sns.us-east-1.amazonaws.com/",  # another region than the topic's
        "https://[::1/",
        "",
    ],
)
def test_only_sns_itself_is_visited(provider: SesProvider, amazon: Sns, url: str) -> None:
    with pytest.raises(ForgedReceipt, match="SubscribeURL"):
        provider.receipts(posted(amazon.confirmation(SubscribeURL=url)))
    assert amazon.fetched == [CERTIFICATE]


@pytest.mark.parametrize(
    "changes",
    [
        {"Message": json.dumps(delivery(eventType="Bounce"))},
        {"Timestamp": "2026-03-02T09:00:01.000Z"},
        {"MessageId": "another"},
        {"Subject": "added"},
        {"Type": "SubscriptionConfirmation"},
        {"Type": "Other"},
        {"Type": ""},
        {"TopicArn": "arn:aws:sns:eu-west-1:999999999999:carillon"},
        {"SignatureVersion": "1"},
        {"SignatureVersion": ""},
        {"Signature": ""},
        {"Signature": "AAAA"},
        {"Signature": "é"},
    ],
)
def test_a_forged_message_is_refused(provider: SesProvider, amazon: Sns, changes: dict[str, str]) -> None:
    with pytest.raises(ForgedReceipt):
        provider.receipts(posted(amazon.notification(delivery()) | changes))
    assert CONFIRMATION not in amazon.fetched


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/SimpleNotificationService-0.pem",
        "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem",
        "https://evil.example#sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.us-east-1.amazonaws.com/x.pem",
        "https://bucket.s3.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com/x.txt",
        "",
    ],
)
def test_no_certificate_is_fetched_from_elsewhere(provider: SesProvider, amazon: Sns, url: str) -> None:
    with pytest.raises(ForgedReceipt, match="not at an address of SNS"):
        provider.receipts(posted(amazon.notification(delivery()) | {"SigningCertURL": url}))
    assert amazon.fetched == []


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"\xff", b'{"Type": 7}', b"[" * 4000])
def test_what_is_no_message_of_sns_is_refused(provider: SesProvider, body: bytes) -> None:
    with pytest.raises(ForgedReceipt):
        provider.receipts(msgspec.structs.replace(posted({}), body=body))


def test_another_signer_is_not_believed(provider: SesProvider, amazon: Sns) -> None:
    with pytest.raises(ForgedReceipt, match="signature"):
        provider.receipts(posted(Sns().notification(delivery())))


def test_a_certificate_is_good_for_its_time(provider: SesProvider, amazon: Sns, moving_clock: MovableClock) -> None:
    request = posted(amazon.notification(delivery()))
    assert provider.receipts(request)
    moving_clock.forward(days=366)
    with pytest.raises(ForgedReceipt, match="not valid now"):
        provider.receipts(request)


def test_a_certificate_that_is_none_is_refused(amazon: Sns) -> None:
    provider = SesProvider(ADDRESS, get=lambda _url: b"<html>")
    with pytest.raises(ForgedReceipt, match="cannot be read"):
        provider.receipts(posted(amazon.notification(delivery())))


def test_without_a_topic_nothing_is_believed(amazon: Sns) -> None:
    with pytest.raises(ForgedReceipt, match="no topic"):
        SesProvider("ses://AKID:hunter2@eu-west-1").receipts(posted(amazon.notification(delivery())))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(200, {}, b"octets"), None),
        (Answer(404, {}, b""), "answered 404"),
        (Answer(200, {}, b"oct", complete=False), "answered 200"),
        (OutboundError("sns.eu-west-1.amazonaws.com did not answer in time.", nothing_sent=False), "in time"),
    ],
)
def test_certificates_come_over_the_guarded_way(
    monkeypatch: pytest.MonkeyPatch, answer: Answer | OutboundError, said: str | None
) -> None:
    asked: list[tuple[str, str, bool]] = []

    def request(method: str, url: str, *, guarded: bool, **_: Any) -> Answer:
        asked.append((method, url, guarded))
        if isinstance(answer, OutboundError):
            raise answer
        return answer

    monkeypatch.setattr(sns.outbound, "request", request)
    get: Callable[[str], bytes] = sns.fetch
    if said is None:
        assert get(CERTIFICATE) == b"octets"
    else:
        with pytest.raises(ForgedReceipt, match=said):
            get(CERTIFICATE)
    assert asked == [("GET", CERTIFICATE, True)]
