"""The table from what servers say to what it is about, and what follows from that."""

import pytest

from backend.channels.base import Outcome, Scope
from backend.channels.refusals import TABLE, classify
from backend.channels.smtp_steps import Step
from backend.channels.smtp_wire import reply

G, H, MAIL, RCPT, DATA, DOT = Step.GREETING, Step.HELLO, Step.MAIL, Step.RCPT, Step.DATA, Step.CONTENT
MESSAGE, RECIPIENT, SESSION, SENDER = Scope.MESSAGE, Scope.RECIPIENT, Scope.SESSION, Scope.SENDER
DOMAIN, ACCOUNT, SERVER = Scope.DOMAIN, Scope.ACCOUNT, Scope.SERVER
RETRY, SLOW, CONFIG, GONE = Outcome.RETRY, Outcome.THROTTLED, Outcome.CONFIG, Outcome.PERMANENT

SAID = [
    (G, "421 4.7.0 mx Error: too many connections from 192.0.2.7", ACCOUNT, SLOW),
    (G, "421 4.3.2 shutting down", SERVER, RETRY),
    (G, "554 5.7.1 no SMTP service for you", ACCOUNT, CONFIG),
    (H, "550 5.7.1 I do not talk to you", ACCOUNT, CONFIG),
    (MAIL, "530 5.7.0 Authentication required", ACCOUNT, CONFIG),
    (RCPT, "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", ACCOUNT, CONFIG),
    (RCPT, "450 4.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.7]", ACCOUNT, CONFIG),
    (MAIL, "553 5.7.1 <lab@us.example>: Sender address rejected: not owned by user lab", SENDER, CONFIG),
    (RCPT, "553 5.7.1 <lab@us.example>: Sender address rejected: not owned by user lab", SENDER, CONFIG),
    (MAIL, "550 5.7.60 SMTP; Client does not have permissions to send as this sender", SENDER, CONFIG),
    (DOT, "554 5.2.252 SendAsDenied; lab@us.example not allowed to send as ada@us.example", SENDER, CONFIG),
    (RCPT, "450 4.1.8 <lab@us.example>: Sender address rejected: Domain not found", SENDER, CONFIG),
    (DOT, "550 5.7.26 This mail has been blocked because the sender is unauthenticated", SENDER, CONFIG),
    (DOT, "421 4.7.26 This mail has been rate limited because it is unauthenticated", SENDER, CONFIG),
    (DOT, "550 5.7.509 Access denied, sending domain us.example does not pass DMARC verification", SENDER, CONFIG),
    (MAIL, "550 no", SENDER, CONFIG),
    (RCPT, "554 5.7.1 <ada@lab.example>: Relay access denied", DOMAIN, CONFIG),
    (RCPT, "454 4.7.1 <ada@lab.example>: Relay access denied", DOMAIN, CONFIG),
    (RCPT, "550 relay not permitted", DOMAIN, CONFIG),
    (MAIL, "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", ACCOUNT, CONFIG),
    (RCPT, "554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using zen.example", DOMAIN, CONFIG),
    (MAIL, "550 5.7.511 Access denied, banned sender[192.0.2.7]", ACCOUNT, CONFIG),
    (DOT, "454 Throttling failure: Maximum sending rate exceeded.", ACCOUNT, SLOW),
    (DOT, "454 Throttling failure: Daily message quota exceeded.", ACCOUNT, SLOW),
    (DOT, "454 4.7.0 come back", ACCOUNT, SLOW),
    (MAIL, "450 4.7.1 Error: too much mail from 192.0.2.7", ACCOUNT, SLOW),
    (RCPT, "450 4.7.1 Error: too many recipients from 192.0.2.7 per minute", ACCOUNT, SLOW),
    (DOT, "550 5.4.5 Daily user sending limit exceeded", ACCOUNT, SLOW),
    (RCPT, "451 4.7.0 Temporary server error. Please try again later", ACCOUNT, SLOW),
    (MAIL, "452 4.3.1 Insufficient system resources", SERVER, SLOW),
    (DOT, "452 4.3.1 Insufficient system storage", SERVER, SLOW),
    (RCPT, "421 4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred; poor reputation", ACCOUNT, SLOW),
    (RCPT, "450 4.2.1 The user you are trying to contact is receiving mail too quickly", RECIPIENT, SLOW),
    (RCPT, "451 4.7.1 Greylisted, see https://lists.example", RECIPIENT, SLOW),
    (RCPT, "450 4.7.1 another time, please", RECIPIENT, SLOW),
    (RCPT, "450 4.7.1 too many messages for this destination domain", DOMAIN, SLOW),
    (RCPT, "450 4.7.1 sender rate limit exceeded", SENDER, SLOW),
    (MAIL, "452 4.5.3 Too many messages sent", SESSION, SLOW),
    (RCPT, "452 4.5.3 enough of this", SESSION, SLOW),
    (DOT, "451 4.7.5 another time", SESSION, SLOW),
    (RCPT, "421 4.3.0 closing", SERVER, RETRY),
    (DOT, "451 4.3.0 queue file write error", SESSION, RETRY),
    (MAIL, "450 later", SESSION, RETRY),
    (RCPT, "450 4.2.0 mailbox busy", RECIPIENT, RETRY),
    (RCPT, "452 4.2.2 Over quota", RECIPIENT, RETRY),
    (RCPT, "450 4.1.1 <ada@lab.example>: unverified address: User unknown", RECIPIENT, RETRY),
    (MAIL, "552 5.3.4 Message size exceeds fixed limit", MESSAGE, GONE),
    (DOT, "554 5.7.1 Spam message rejected", MESSAGE, GONE),
    (DOT, "554 5.7.1 rejected: URL in the content is blacklisted by URIBL", MESSAGE, GONE),
    (RCPT, "550 5.1.1 no such user", RECIPIENT, GONE),
    (DOT, "552 5.2.2 mailbox is full", RECIPIENT, GONE),
    (RCPT, "550 5.7.1 sender is on the recipient's personal block list", RECIPIENT, GONE),
    (RCPT, "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required", RECIPIENT, GONE),
    (RCPT, "550 no", RECIPIENT, GONE),
    (RCPT, "550 Invalid recipient: <ada@strange.example>", RECIPIENT, GONE),
    (DATA, "554 5.5.1 no valid recipients", MESSAGE, GONE),
    (DOT, "554 5.6.0 transaction failed", MESSAGE, GONE),
    (DOT, "550 Administrative prohibition", MESSAGE, GONE),
    (DOT, "550 5.7.1 Too much spam content; rejected", MESSAGE, GONE),
    (DOT, "550 5.7.1 Too many links in the message", MESSAGE, GONE),
    (DOT, "554 5.6.0 too many MIME parts", MESSAGE, GONE),
    (DOT, "554 5.5.2 too many header lines", MESSAGE, GONE),
    (DOT, "554 5.4.6 Too many Received headers, mail loop", MESSAGE, GONE),
    (DOT, "552 5.3.4 message limit exceeded: size", MESSAGE, GONE),
    (DOT, "554 5.7.1 Blocked: body contains a link listed on spamhaus DBL", MESSAGE, GONE),
    (DOT, "421 4.7.0 too much spam from 192.0.2.7", ACCOUNT, SLOW),
    (RCPT, "451 4.7.1 Try again later", RECIPIENT, SLOW),
    (DOT, "451 4.7.1 Try again later", RECIPIENT, SLOW),
    (RCPT, "451 4.7.1 Please try again later", RECIPIENT, SLOW),
    (RCPT, "451 Temporary failure, please try again later", RECIPIENT, SLOW),
    (RCPT, "451 4.7.1 slow down, and try again later", ACCOUNT, SLOW),
    (RCPT, "452 4.2.2 Mailbox full, please try again later", RECIPIENT, RETRY),
    (RCPT, "552 5.2.2 Mailbox daily limit exceeded", RECIPIENT, SLOW),
    (RCPT, "550 5.7.1 user does not accept mail from unknown senders", RECIPIENT, GONE),
    (RCPT, "550 5.7.129 Access denied, sender address not allowed for this recipient", RECIPIENT, GONE),
]


@pytest.mark.parametrize(("step", "said", "scope", "outcome"), SAID)
def test_what_a_refusal_is_about(step: Step, said: str, scope: Scope, outcome: Outcome) -> None:
    code, _, text = said.partition(" ")
    answer = reply(int(code), text.encode())
    classified = classify(answer.code, answer.enhanced, answer.text, step)
    assert (classified.scope, classified.outcome) == (scope, outcome)


def test_only_a_bad_address_is_suppressed() -> None:
    bad = []
    for step, said, _, _ in SAID:
        answer = reply(int(said[:3]), said[4:].encode())
        if classify(answer.code, answer.enhanced, answer.text, step).bad_address:
            bad.append(said)
    assert bad == ["550 5.1.1 no such user"]


def test_any_refusal_is_validated_at_any_step_and_every_row_names_its_source() -> None:
    for step in Step:
        for code in range(400, 600):
            assert classify(code, None, "", step).scope in Scope
    assert all(row.source for row in TABLE)
