"""Bounces of several mail servers are read for what they say; hostile and foreign mail says nothing."""

import base64
from datetime import UTC, datetime

import pytest

from backend.channels.base import ReceiptKind
from backend.channels.mail_diagnosis import BAD_ADDRESS, Fault, diagnose
from backend.receipts import bounces
from tests.receipts.bounce_mails import DELIVERY, bounce
from tests.receipts.refusals import REFUSALS

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
        ("opensmtpd", BOUNCED, "5.1.1", "no such user here"),
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


def report(*, body: str, kind: str = "message/delivery-status", encoding: str = "", top: str = "") -> bytes:
    """Write a bounce whose report has this body, and which returns nothing of the message."""
    return (
        f"From: MAILER-DAEMON@mx.lab.example\nDate: Mon, 2 Mar 2026 09:00:07 +0000\n{top}MIME-Version: 1.0\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        f"--b\nContent-Type: text/plain\n\nIt failed.\n--b\nContent-Type: {kind}\n{encoding}\n{body}\n--b--\n"
    ).encode()


ANSWER = f"In-Reply-To: <{DELIVERY}@lab.example>\n"
FIELDS = "Final-Recipient: rfc822; lab@lab.example\nAction: failed\nStatus: 5.1.1\n"
MTA = "Reporting-MTA: dns; mx.lab.example\n"
BASE64 = "Content-Transfer-Encoding: base64\n"
GLOBAL = "message/global-delivery-status"


@pytest.mark.parametrize(
    "message",
    [
        report(body=f"{MTA}\n{FIELDS}", top=ANSWER),
        report(body=f"{MTA}\n{FIELDS}", top=ANSWER.replace("In-Reply-To", "References")),
        report(body=f"{MTA}{FIELDS}", top=ANSWER),
        report(body=f"{MTA}\n{FIELDS}", kind=GLOBAL, top=ANSWER),
        report(body=f"{MTA}{FIELDS}", kind=GLOBAL, top=ANSWER),
        report(body=base64.encodebytes(f"{MTA}\n{FIELDS}".encode()).decode(), encoding=BASE64, top=ANSWER),
        report(body=base64.encodebytes(f"{MTA}\n{FIELDS}".encode()).decode(), encoding=BASE64, kind=GLOBAL, top=ANSWER),
        report(
            body=f"{MTA}\n{FIELDS}".replace(".example", "=2Eexample"),
            encoding="Content-Transfer-Encoding: quoted-printable\n",
            top=ANSWER,
        ),
    ],
)
def test_reports_are_read_however_they_are_wrapped(message: bytes) -> None:
    (event,) = bounces.read(message)
    assert (event.kind, event.code, event.address) == (BOUNCED, "5.1.1", "lab@lab.example")
    assert event.delivery_id == DELIVERY


def test_recipients_that_no_blank_line_sets_off_are_told_apart() -> None:
    second = "Final-Recipient: rfc822; bob@lab.example\nAction: failed\nStatus: 5.2.2\n"
    found = bounces.read(report(body=f"{MTA}\n{FIELDS}{second}", top=ANSWER))
    assert [(one.address, one.kind) for one in found] == [("lab@lab.example", BOUNCED), ("bob@lab.example", FAILED)]


@pytest.mark.parametrize(
    ("field", "address"),
    [
        ("utf-8; l\\x{e4}b@lab.example", "läb@lab.example"),
        ("rfc822; ada+2Blab@lab.example", "ada+lab@lab.example"),
        ("rfc822;<lab@lab.example>", "lab@lab.example"),
    ],
)
def test_addresses_are_read_out_of_their_encoding(field: str, address: str) -> None:
    body = f"{MTA}\n{FIELDS}".replace("rfc822; lab@lab.example", field)
    (event,) = bounces.read(report(body=body, kind=GLOBAL, top=ANSWER))
    assert event.address == address


def text(subject: str, body: str, sender: str = "postmaster@mx.lab.example", more: str = "") -> bytes:
    return f"From: {sender}\n{more}{ANSWER}Subject: {subject}\nContent-Type: text/plain\n\n{body}\n".encode()


@pytest.mark.parametrize(
    ("message", "kind", "code"),
    [
        (
            text("Undeliverable mail", "It did not reach:\n\n<lab@lab.example>:\n  550 5.1.1 no such user"),
            BOUNCED,
            "5.1.1",
        ),
        (
            text(
                "Message undeliverable", "Not reached:\n\nlab@lab.example\n   Remote server replied: 550 Unknown user\n"
            ),
            BOUNCED,
            "5.0.0",
        ),
        (text("Delivery failed", "lab@lab.example: 552 5.2.2 mailbox full"), FAILED, "5.2.2"),
        (text("failure notice", "<lab@lab.example>:\n550 we do not want this"), ReceiptKind.REJECTED, "5.0.0"),
        (
            text("x", "Unzustellbar:\nlab@lab.example\n  550 5.1.1 unknown user", "a@b.example", "Return-Path: <>\n"),
            BOUNCED,
            "5.1.1",
        ),
        (
            text(
                "Mail delivery failed",
                "Failed:\n\n  lab@lab.example\n    550 5.1.1 unknown user",
                more="X-Failed-Recipients: lab@lab.example\n",
            ),
            BOUNCED,
            "5.1.1",
        ),
    ],
)
def test_bounces_of_text_alone_are_read(message: bytes, kind: ReceiptKind, code: str) -> None:
    (event,) = bounces.read(message)
    assert (event.kind, event.code, event.address) == (kind, code, "lab@lab.example")


def test_what_a_person_writes_of_a_refusal_is_none() -> None:
    said = "lab@lab.example\n  550 5.1.1 no such user"
    assert bounces.read(text("Re: delivery failed", said, "ada@lab.example")) == []


@pytest.mark.parametrize(("server", "status", "said", "fault"), REFUSALS)
def test_whose_fault_a_refusal_is(server: str, status: str, said: str, fault: Fault) -> None:
    assert diagnose(status or None, said) is fault


def test_what_is_not_surely_the_addresss_fault_suppresses_nothing() -> None:
    assert len(REFUSALS) >= 80
    for _, status, said, fault in REFUSALS:
        body = f"{MTA}\nFinal-Recipient: rfc822; lab@lab.example\nAction: failed\n"
        body += f"Status: {status}\nDiagnostic-Code: smtp; {said}\n" if status else f"Diagnostic-Code: smtp; {said}\n"
        (event,) = bounces.read(report(body=body, top=ANSWER))
        assert (event.kind is BOUNCED) is (fault in BAD_ADDRESS and not status.startswith("4.")), said
