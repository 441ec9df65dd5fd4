"""Postfix: limits of messages and of sessions per client in a unit of time, as its anvil counts them."""

from collections.abc import Callable

from tests.mail_servers.office import Count, Office
from tests.mail_servers.postfix import Postfix
from tests.smtp_server import SmtpServer

Note = Callable[[str, str, Count], None]


def test_so_many_messages_of_a_client_in_a_unit_of_time(office: Office, sink: SmtpServer, note: Note) -> None:
    with Postfix(sink.port, smtpd_client_message_rate_limit="10", anvil_rate_time_unit="1s") as server:
        office.use(server.address())
        office.accept(30)
        office.work()
        count = office.count()
        note("Postfix", "10 messages of a client in its unit", count)
        assert "Message delivery request rate limit exceeded" in server.logged()
    assert (count.sent, count.lost, count.doubled, count.tries) == (30, 0, 0, 1)


def test_so_many_sessions_of_a_client_at_once(office: Office, sink: SmtpServer, note: Note) -> None:
    with Postfix(sink.port, smtpd_client_connection_count_limit="3") as server:
        office.use(server.address())
        office.accept(200)
        office.work()
        count = office.count()
        note("Postfix", "3 sessions of a client at once", count)
        assert "too many connections" in server.logged() or "limit exceeded" in server.logged()
    assert (count.sent, count.lost, count.doubled, count.tries) == (200, 0, 0, 1)


def test_so_many_new_sessions_of_a_client_in_a_unit_of_time(office: Office, sink: SmtpServer, note: Note) -> None:
    with Postfix(sink.port, smtpd_client_connection_rate_limit="4", anvil_rate_time_unit="1s") as server:
        office.use(server.address())
        office.accept(200)
        office.work()
        count = office.count()
        note("Postfix", "4 new sessions of a client a second", count)
    assert (count.sent, count.lost, count.doubled, count.tries) == (200, 0, 0, 1)


def test_what_it_takes_by_itself(office: Office, sink: SmtpServer, note: Note) -> None:
    with Postfix(sink.port) as server:
        office.use(server.address())
        office.accept(200)
        office.work()
        count = office.count()
        note("Postfix", "its own defaults", count)
    assert (count.sent, count.lost, count.doubled, count.tries) == (200, 0, 0, 1)
