"""What every server is asked for: TLS of a private authority, owned senders, relaying, sizes, bounces."""

from collections.abc import Callable

import pytest

from tests.conftest import MovableClock
from tests.mail_servers.exim import OWNED, Exim
from tests.mail_servers.jail import NAME, Jail
from tests.mail_servers.office import BOUNCES, Count, Office, pipe
from tests.mail_servers.opensmtpd import OpenSmtpd
from tests.mail_servers.postfix import Postfix
from tests.smtp_server import SmtpServer

Note = Callable[[str, str, Count], None]
KINDS = {"Postfix": Postfix, "Exim": Exim, "OpenSMTPD": OpenSmtpd}
every_server = pytest.mark.parametrize("kind", KINDS)
# Debian 12 builds its OpenSMTPD 6.8.0p2 with OpenSSL 3, with which it does no TLS; what then happens is tested below.
with_tls = pytest.mark.parametrize("kind", ["Postfix", "Exim"])

# How each is told that a sender belongs to who signs in.
OWNERSHIP: dict[str, dict[str, str]] = {
    "Postfix": {"signs_in": "yes", "smtpd_sender_restrictions": "reject_sender_login_mismatch"},
    "Exim": {"at_mail": OWNED},
    "OpenSMTPD": {"listen": f"tls-require pki {NAME} auth <people> senders <owners>"},
}
SIZES: dict[str, dict[str, str]] = {
    "Postfix": {"message_size_limit": "50000"},
    "Postfix, which does not say it": {"message_size_limit": "50000", "smtpd_discard_ehlo_keywords": "size"},
    "Exim": {"message_size_limit": "50000"},
    "OpenSMTPD": {"smtp_max-message-size": "50000"},
}


def running(kind: str, sink: SmtpServer, command: str = "cat >/dev/null", **options: str) -> Jail:
    return KINDS[kind.partition(",")[0]](sink.port, command, **options)


@with_tls
def test_mail_goes_by_tls_of_a_private_authority_and_signed_in(
    kind: str, office: Office, sink: SmtpServer, note: Note
) -> None:
    with running(kind, sink, **OWNERSHIP[kind]) as server:
        office.use(server.signed_in())
        office.accept(40)
        office.work()
        count = office.count()
        note(kind, "STARTTLS, a private authority, AUTH", count)
    assert count == Count(sent=40, waiting=0, failed=0, lost=0, doubled=0, tries=1, seconds=count.seconds)


def test_where_the_tls_of_a_server_is_broken_the_next_one_takes_the_mail(
    office: Office, sink: SmtpServer, note: Note
) -> None:
    with running("OpenSMTPD", sink, **OWNERSHIP["OpenSMTPD"]) as server, running("Exim", sink) as second:
        office.use(server.signed_in(), second.address())
        office.accept(20)
        office.work()
        count = office.count()
        note("OpenSMTPD", "its TLS is broken, Exim takes the mail", count)
    assert (count.sent, count.failed, count.lost, count.doubled, count.tries) == (20, 0, 0, 0, 1)


@with_tls
def test_where_the_authority_is_unknown_nothing_goes_until_it_is_known(
    kind: str, office: Office, sink: SmtpServer, moving_clock: MovableClock, note: Note
) -> None:
    with running(kind, sink, **OWNERSHIP[kind]) as server:
        office.use(server.signed_in().replace("ca=", "connect=5&x=").partition("&x=")[0])
        office.accept(5)
        for _ in range(3):
            office.drain()
            moving_clock.forward(minutes=20)
        assert "certificate" in office.told()
        assert not sink.messages
        office.use(server.signed_in())
        for _ in range(4):
            office.drain()
            moving_clock.forward(minutes=20)
        count = office.count()
        note(kind, "an unknown authority, then the known one", count)
    assert (count.sent, count.failed, count.lost, count.doubled) == (5, 0, 0, 0)


@with_tls
def test_a_sender_of_somebody_else_is_held_alone_and_fails_nowhere(
    kind: str, office: Office, sink: SmtpServer, moving_clock: MovableClock, note: Note
) -> None:
    with running(kind, sink, **OWNERSHIP[kind]) as server:
        office.use(server.signed_in())
        office.send_from("other@us.example")
        office.accept(4)
        for _ in range(6):
            office.drain()
            moving_clock.forward(minutes=20)
        assert {(one.status, one.attempts) for one in office.rows()} == {("QUEUED", 0)}
        office.send_from("lab@us.example")
        office.accept(4)
        for _ in range(3):
            office.drain()
            moving_clock.forward(minutes=20)
        count = office.count()
        note(kind, "a sender of somebody else, then its own", count)
    assert (count.sent, count.failed, count.lost, count.doubled, count.tries) == (8, 0, 0, 0, 1)


@pytest.mark.parametrize("kind", ["Postfix", "Exim"])
def test_a_closed_relay_holds_that_domain_alone_until_another_server_takes_it(
    kind: str, office: Office, sink: SmtpServer, moving_clock: MovableClock, note: Note
) -> None:
    with running(kind, sink) as server:
        office.use(server.address())
        office.accept(3, to="ada@strange.example")
        office.accept(3)
        for _ in range(4):
            office.drain()
            moving_clock.forward(minutes=20)
        assert {(one.status, one.attempts) for one in office.rows("ada@strange.example")} == {("QUEUED", 0)}
        assert {one.status for one in office.rows("lab@lab.example")} == {"SENT"}
        assert "elay" in office.told()
        office.use(server.address(), sink.address)
        office.drain()
        count = office.count()
        note(kind, "relaying denied, then a second provider", count)
    assert (count.sent, count.failed, count.lost, count.doubled, count.tries) == (6, 0, 0, 0, 1)
    assert not office.suppressed("ada@strange.example")


def test_opensmtpd_does_not_say_whether_it_relays_or_knows_nobody_there(
    office: Office, sink: SmtpServer, moving_clock: MovableClock, note: Note
) -> None:
    """``550 Invalid recipient`` is all that it says of both, so the message fails and its address stays good."""
    with running("OpenSMTPD", sink) as server:
        office.use(server.address())
        office.accept(3, to="ada@strange.example")
        office.accept(3)
        office.drain()
        count = office.count()
        note("OpenSMTPD", "relaying denied in words that do not say so", count)
        assert "550 Invalid recipient" in office.told()
    assert (count.sent, count.failed, count.lost, count.doubled, count.tries) == (3, 3, 0, 0, 1)
    assert not office.suppressed("ada@strange.example")


@pytest.mark.parametrize("kind", SIZES)
def test_what_is_too_large_fails_at_once_and_says_nothing_of_the_address(
    kind: str, office: Office, sink: SmtpServer, note: Note
) -> None:
    with running(kind, sink, **SIZES[kind]) as server:
        office.use(server.address())
        office.accept(3)
        for number in range(2):
            office.accept(1, fields={"sample_id": f"{number} is large " * 10_000})
        office.drain()
        count = office.count()
        note(kind, "two messages of five are too large", count)
    assert (count.sent, count.failed, count.lost, count.doubled, count.tries) == (3, 2, 0, 0, 1)
    assert not office.suppressed("lab@lab.example")


# What the server behind it says of a mailbox, and whether nothing will ever come to it.
SAID = {
    "gone@away.example": ("550 5.1.1 <gone@away.example>: User unknown in virtual mailbox table", True),
    "left@away.example": ("550 no such user here", True),
    "full@away.example": ("552 5.2.2 mailbox is full, over quota", False),
    "spam@away.example": ("554 5.7.1 Spam message rejected", False),
    "listed@away.example": ("550 5.7.1 Client host blocked using zen.example", False),
    "unsaid@away.example": ("550 5.0.0 no", False),
}


@every_server
def test_a_bounce_comes_home_by_the_pipe_and_tells_what_it_means(
    kind: str, office: Office, sink: SmtpServer, http_client: str, note: Note
) -> None:
    sink.script.replies.update({address: reply for address, (reply, _) in SAID.items()})
    with running(kind, sink, pipe()) as server:
        office.use(server.address(bounces=BOUNCES), BASE_URL=http_client)
        office.accept(4)
        for address in SAID:
            office.accept(1, to=address)
        office.work()
        office.come_home(len(SAID))
        count = office.count()
        note(kind, "six of ten come back by the pipe", count)
    assert (count.sent, count.failed, count.lost, count.doubled, count.tries) == (4, 6, 0, 0, 1)
    for address, (reply, gone) in SAID.items():
        (row,) = office.rows(address)
        assert row.status == "FAILED", address
        words = reply.partition(" ")[2].removeprefix("5.0.0 ")
        assert words in " ".join(office.told().split()), f"{address}: {row.error}"
        assert bool(office.suppressed(address)) == gone, f"{address}: {row.error}"
