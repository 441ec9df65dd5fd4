"""Complaints (RFC 5965) are read for whose message they are about; what is none says nothing."""

import base64

import pytest

from backend.channels.base import ReceiptKind
from backend.receipts import bounce_reading, bounces
from tests.receipts.bounce_mails import DELIVERY, bounce

OTHER = DELIVERY.replace("0b9d8f52", "1c9d8f52")
MESSAGE_ID = f"Message-ID: <{DELIVERY}@lab.example>\n"
FIELDS = (
    "Feedback-Type: abuse\nUser-Agent: SomeGenerator/1.0\nVersion: 1\nOriginal-Mail-From: <news@lab.example>\n"
    "Original-Rcpt-To: <lab@lab.example>\nReported-Domain: lab.example\n"
)


def complaint(
    fields: str = FIELDS, *, returned: str = MESSAGE_ID, kind: str = "message/rfc822", top: str = "", encoding: str = ""
) -> bytes:
    """Write a complaint with these fields, and these header fields of the message that comes back."""
    return (
        f"From: <abuse@mailbox.example>\nDate: Mon, 2 Mar 2026 09:00:07 +0000\nSubject: FW: Your run\n{top}"
        "To: <abuse@lab.example>\nMessage-ID: <1234@mailbox.example>\nMIME-Version: 1.0\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        "--b\nContent-Type: text/plain\n\nThis is a mail abuse report.\n"
        f"--b\nContent-Type: message/feedback-report\n{encoding}\n{fields}\n"
        f"--b\nContent-Type: {kind}\nContent-Disposition: inline\n\n"
        f"From: <news@lab.example>\n{returned}Subject: Your run\n\nIt has finished.\n--b--\n"
    ).encode()


def in_base64() -> bytes:
    body = base64.encodebytes(FIELDS.encode()).decode()
    return complaint(body, encoding="Content-Transfer-Encoding: base64\n")


@pytest.mark.parametrize(
    "message",
    [
        complaint(),
        complaint().replace(b"\n", b"\r\n"),
        complaint(kind="text/rfc822-headers"),
        complaint(FIELDS.replace("abuse", "Abuse")),
        complaint(returned="", top=f"Delivered-To: bounces+{DELIVERY}@lab.example\n"),
        complaint(FIELDS.replace("<news@", f"<bounces+{DELIVERY}@"), returned=""),
        complaint(returned=f"Return-Path: <bounces+{DELIVERY}@lab.example>\n"),
        in_base64(),
    ],
)
def test_a_complaint_names_the_delivery_and_the_address(message: bytes) -> None:
    (event,) = bounces.read(message)
    assert (event.kind, event.code, event.delivery_id) == (ReceiptKind.COMPLAINED, "abuse", DELIVERY)
    assert event.address == "lab@lab.example"
    assert event.detail == "abuse, by SomeGenerator/1.0"
    assert event.at is not None
    assert bounces.read(message)[0].event_id == event.event_id


@pytest.mark.parametrize("kind", ["abuse", "fraud", "opt-out"])
def test_what_readers_say_is_a_complaint(kind: str) -> None:
    (event,) = bounces.read(complaint(FIELDS.replace("abuse", kind)))
    assert event.code == kind


@pytest.mark.parametrize("kind", ["not-spam", "virus", "auth-failure", "other", "", "x" * 2000])
def test_what_no_reader_says_is_none(kind: str) -> None:
    assert bounces.read(complaint(FIELDS.replace("abuse", kind))) == []


@pytest.mark.parametrize(
    "message",
    [
        complaint(returned=""),
        complaint(returned="Message-ID: <someone@elsewhere.example>\n"),
        complaint(""),
        b"Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n",
    ],
)
def test_what_is_about_no_message_of_ours_says_nothing(message: bytes) -> None:
    assert bounces.read(message) == []


@pytest.mark.parametrize(
    "named", ["", "Original-Rcpt-To: redacted\n", "Original-Rcpt-To: a@lab.example\nOriginal-Rcpt-To: b@lab.example\n"]
)
def test_who_complained_may_be_hidden(named: str) -> None:
    (event,) = bounces.read(complaint(FIELDS.replace("Original-Rcpt-To: <lab@lab.example>\n", named)))
    assert event.address is None


def test_the_child_reads_complaints_too() -> None:
    (event,) = bounce_reading.read(complaint())
    assert (event.kind, event.delivery_id) == (ReceiptKind.COMPLAINED, DELIVERY)


@pytest.mark.parametrize("field", ["To", "Delivered-To", "X-Original-To", "Envelope-To"])
def test_the_address_that_a_bounce_came_to_counts_before_what_it_returns(field: str) -> None:
    message = f"{field}: <bounces+{OTHER}@mail.example>\r\n".encode() + bounce("postfix_unknown_user")
    (event,) = bounces.read(message)
    assert (event.kind, event.delivery_id) == (ReceiptKind.BOUNCED, OTHER)
