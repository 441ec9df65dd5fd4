"""OpenSMTPD: a limit of messages in a session is all that it has; of clients and of time it counts nothing."""

from collections.abc import Callable

from tests.mail_servers.office import Count, Office
from tests.mail_servers.opensmtpd import OpenSmtpd
from tests.smtp_server import SmtpServer

Note = Callable[[str, str, Count], None]


def test_a_hundred_messages_in_a_session(office: Office, sink: SmtpServer, note: Note) -> None:
    with OpenSmtpd(sink.port) as server:
        office.use(f"{server.address()}&connections=1")
        office.accept(130)
        office.work()
        count = office.count()
        note("OpenSMTPD", "100 messages in a session, its default", count)
        assert "Too many messages sent" in server.logged()
    assert (count.sent, count.lost, count.doubled, count.tries) == (130, 0, 0, 1)


def test_ten_messages_in_a_session(office: Office, sink: SmtpServer, note: Note) -> None:
    with OpenSmtpd(sink.port, smtp_limit="max-mails 10") as server:
        office.use(server.address())
        office.accept(150)  # more than the sessions at once are good for
        office.work()
        count = office.count()
        note("OpenSMTPD", "10 messages in a session", count)
        assert "Too many messages sent" in server.logged()
    assert (count.sent, count.lost, count.doubled, count.tries) == (150, 0, 0, 1)
