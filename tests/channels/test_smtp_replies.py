"""The table from SMTP replies to outcomes."""

import pytest

from backend.channels.base import Outcome
from backend.channels.smtp_steps import Step
from backend.channels.smtp_wire import error, reply

RETRY, PERMANENT, THROTTLED, CONFIG, AMBIGUOUS = (
    Outcome.RETRY,
    Outcome.PERMANENT,
    Outcome.THROTTLED,
    Outcome.CONFIG,
    Outcome.AMBIGUOUS,
)


@pytest.mark.parametrize(
    ("step", "code", "text", "outcome", "down", "exact"),
    [
        (Step.GREETING, 421, "4.3.2 shutting down", RETRY, True, "4.3.2"),
        (Step.GREETING, 554, "no SMTP service here", CONFIG, True, "554"),
        (Step.HELLO, 550, "I do not talk to you", CONFIG, True, "550"),
        (Step.STARTTLS, 454, "TLS not available", RETRY, True, "454"),
        (Step.AUTH, 454, "4.7.0 Temporary authentication failure", RETRY, True, "4.7.0"),
        (Step.AUTH, 535, "5.7.8 wrong", CONFIG, True, "5.7.8"),
        (Step.AUTH, 534, "5.7.9 mechanism too weak", CONFIG, True, "5.7.9"),
        (Step.MAIL, 530, "5.7.0 Authentication required", CONFIG, True, "5.7.0"),
        (Step.MAIL, 550, "5.7.1 not your address", CONFIG, False, "5.7.1"),
        (Step.MAIL, 553, "5.1.8 bad sender", CONFIG, False, "5.1.8"),
        (Step.MAIL, 552, "5.3.4 too big", PERMANENT, False, "5.3.4"),
        (Step.MAIL, 451, "later", RETRY, False, "451"),
        (Step.RCPT, 450, "4.2.0 mailbox busy", RETRY, False, "4.2.0"),
        (Step.RCPT, 451, "4.7.1 greylisted", THROTTLED, False, "4.7.1"),
        (Step.RCPT, 452, "4.5.3 too many recipients", THROTTLED, False, "4.5.3"),
        (Step.RCPT, 421, "4.7.0 too many errors", THROTTLED, True, "4.7.0"),
        (Step.RCPT, 550, "5.1.1 no such user", PERMANENT, False, "5.1.1"),
        (Step.RCPT, 550, "no such user", PERMANENT, False, "550"),
        (Step.RCPT, 552, "5.2.2 mailbox full", PERMANENT, False, "5.2.2"),
        (Step.RCPT, 554, "5.7.1 relay access denied", CONFIG, False, "5.7.1"),
        (Step.RCPT, 550, "4.1.1 disagrees in class", PERMANENT, False, "550"),
        (Step.CONTENT, 454, "Throttling failure: Maximum sending rate exceeded.", THROTTLED, True, "454"),
        (Step.CONTENT, 554, "5.6.0 rejected", PERMANENT, False, "5.6.0"),
        (Step.CONTENT, 451, "4.3.0 queue file", RETRY, False, "4.3.0"),
        (Step.CONTENT, 421, "4.3.0 going down", RETRY, True, "4.3.0"),
        (Step.CONTENT, -1, "HTTP/1.1 400", AMBIGUOUS, True, None),
        (Step.CONTENT, 354, "go on", AMBIGUOUS, True, "354"),
        (Step.RCPT, -1, "HTTP/1.1 400", RETRY, True, None),
    ],
)
def test_each_reply_means_one_outcome(
    step: Step, code: int, text: str, *, outcome: Outcome, down: bool, exact: str | None
) -> None:
    fault = error(reply(code, text.encode()), step)
    assert (fault.outcome, fault.route_down, fault.code) == (outcome, down, exact)


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"5.1.1 no such user", "550 5.1.1 no such user"),
        (b"5.1.1 no such user\n5.1.1 see https://x.example", "550 5.1.1 no such user see https://x.example"),
        (b"bad \x1b[31m\xff\r bytes", "550 bad [31m\ufffd bytes"),
        (b"", "550"),
        (b"a" * 9000, "550 " + "a" * 500),
        (b"sorry mary:hunter2", "550 sorry ***:***"),
    ],
)
def test_the_detail_is_one_bounded_readable_line_without_secrets(raw: bytes, detail: str) -> None:
    assert reply(550, raw, ("mary", "hunter2")).detail == detail
