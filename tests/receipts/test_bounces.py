"""Bounces of several mail servers are read for what they say; hostile and foreign mail says nothing."""

from datetime import UTC, datetime

import pytest

from backend.channels.base import ReceiptKind
from backend.receipts import bounces
from tests.receipts.bounce_mails import DELIVERY, bounce

BOUNCED, FAILED, DELAYED = ReceiptKind.BOUNCED, ReceiptKind.FAILED, ReceiptKind.DELAYED


@pytest.mark.parametrize(
    ("name", "kind", "code", "words"),
    [
        ("postfix_unknown_user", BOUNCED, "5.1.1", "User unknown in local recipient table"),
        ("postfix_delayed", DELAYED, "4.4.1", "Connection timed out"),
        ("exim_expired", FAILED, "4.4.7", "4.4.7"),
        ("sendmail_mailbox_full", FAILED, "5.2.2", "Mailbox is full"),
        ("exchange_not_found", BOUNCED, "5.1.10", "Recipient not found"),
        ("policy_refusal", FAILED, "5.7.26", "unauthenticated"),
        ("qmail", BOUNCED, "5.1.1", "no mailbox here by that name"),
        ("return_path_only", BOUNCED, "5.0.0", "no such user"),
    ],
)
def test_what_a_mail_server_says_is_read(name: str, kind: ReceiptKind, code: str, words: str) -> None:
    for message in (bounce(name), bounce(name).replace(b"\r\n", b"\n")):
        (event,) = bounces.read(message)
        assert (event.kind, event.code, event.delivery_id) == (kind, code, DELIVERY)
        assert (event.address or "").lower() == "lab@lab.example"
        assert words in event.detail
        assert event.at is not None
        assert event.at.tzinfo is UTC


def test_the_moment_is_in_utc_whatever_the_mail_server_writes() -> None:
    (event,) = bounces.read(bounce("exchange_not_found"))
    assert event.at == datetime(2026, 3, 2, 9, 0, 9, tzinfo=UTC)


def test_the_same_bounce_has_the_same_identity_and_another_one_another() -> None:
    first, again = (bounces.read(bounce("postfix_delayed"))[0].event_id for _ in range(2))
    later = bounce("postfix_delayed").replace(b"20260302130009", b"20260302170009")
    assert first == again
    assert bounces.read(later)[0].event_id != first


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00" * 1000,
        b"Subject: hello\r\n\r\nNot a bounce",
        bounce("out_of_office"),
        bounce("postfix_unknown_user", "not-a-delivery"),
        bounce("postfix_unknown_user").replace(b"Action: failed", b"Action: eaten"),
        bounce("postfix_unknown_user").replace(b"Action: failed", b"X: y"),
        b"Content-Type: message/delivery-status\r\n\r\n\r\n",
        b'Content-Type: multipart/report; boundary=""\r\n\r\n--\r\n',
        b"Content-Type: multipart/mixed; boundary=\xff\r\n\r\n--\xff\r\n\r\nx",
    ],
)
def test_what_is_no_bounce_of_ours_says_nothing(message: bytes) -> None:
    assert bounces.read(message) == []


@pytest.mark.parametrize(
    "date", ["", "yesterday", "Mon, 99 Mar 2026 99:00:09 +9999", "Fri, 31 Dec 9999 23:00:09 -1400"]
)
def test_a_date_that_cannot_be_read_is_left_out(date: str) -> None:
    message = bounce("postfix_unknown_user").replace(
        b"Date: Mon,  2 Mar 2026 09:00:07 +0000 (UTC)", f"Date: {date}".encode()
    )
    (event,) = bounces.read(message)
    assert event.at is None


def test_mail_that_is_nested_without_end_costs_little() -> None:
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(20_000))
    try:
        assert bounces.read(deep) == []
    except ValueError as error:
        assert "cannot be read" in str(error)  # noqa: PT017 - either will do
    many = bounce("postfix_unknown_user").replace(b"Action: failed", b"Action: failed\r\n" + b"X: y\r\n" * 100_000)
    assert len(bounces.read(many)) <= 1


def test_a_bounce_with_thousands_of_recipients_is_cut() -> None:
    block = b"\r\nFinal-Recipient: rfc822; a%d@lab.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
    blocks = b"".join(block % number for number in range(2000))
    marker = b"\r\nFinal-Recipient: rfc822; lab@lab.example"
    message = bounce("postfix_unknown_user").replace(marker, blocks + marker, 1)
    assert len(bounces.read(message)) == 50
