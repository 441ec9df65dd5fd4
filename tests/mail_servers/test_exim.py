"""Exim: limits of messages in a session, of sessions per host, and the rates of its ACLs."""

from collections.abc import Callable

from tests.mail_servers.exim import Exim
from tests.mail_servers.office import Count, Office
from tests.smtp_server import SmtpServer

Note = Callable[[str, str, Count], None]


def test_so_many_messages_in_a_session(office: Office, sink: SmtpServer, note: Note) -> None:
    with Exim(sink.port, smtp_accept_max_nonmail="1000", smtp_accept_max_per_connection="5") as server:
        office.use(server.address())
        office.accept(60)
        office.work()
        count = office.count()
        note("Exim", "5 messages in a session", count)
        assert "too many messages" in server.logged()
    assert (count.sent, count.lost, count.doubled, count.tries) == (60, 0, 0, 1)


def test_so_many_sessions_of_a_host(office: Office, sink: SmtpServer, note: Note) -> None:
    with Exim(sink.port, smtp_accept_max_per_host="3") as server:
        office.use(server.address())
        office.accept(100)
        office.work()
        count = office.count()
        note("Exim", "3 sessions of a host at once", count)
        assert "too many connections from that IP address" in server.logged()
    assert (count.sent, count.lost, count.doubled, count.tries) == (100, 0, 0, 1)


def test_so_many_messages_of_a_host_in_a_unit_of_time(office: Office, sink: SmtpServer, note: Note) -> None:
    limit = "  defer message = Sender rate $sender_rate / $sender_rate_period\n    ratelimit = 10 / 1s / leaky"
    with Exim(sink.port, at_mail=limit) as server:
        office.use(server.address())
        office.accept(40)
        office.work()
        count = office.count()
        note("Exim", "10 messages of a host a second", count)
        assert "Sender rate" in server.logged()
    assert (count.sent, count.lost, count.doubled, count.tries) == (40, 0, 0, 1)


def test_what_it_takes_by_itself(office: Office, sink: SmtpServer, note: Note) -> None:
    with Exim(sink.port) as server:
        office.use(server.address())
        office.accept(150)
        office.work()
        count = office.count()
        note("Exim", "its own defaults", count)
    assert (count.sent, count.lost, count.doubled, count.tries) == (150, 0, 0, 1)
