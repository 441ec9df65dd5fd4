"""Sinks with a limit, and how near to it a worker comes; ``table --sinks`` runs them, for they take two minutes."""

from collections.abc import Callable

from tests.mail_servers.office import Count, Office
from tests.smtp_server import SmtpServer

Note = Callable[[str, str, Count], None]
_GOODPUT = 0.9


def test_fourteen_a_second(office: Office, sink: SmtpServer, note: Note) -> None:
    sink.script.rate = (14, 1.0)
    office.use(sink.address)
    for _ in range(7):
        office.accept(200)
    office.accept(100, priority="HIGH", subject="urgent")
    office.work(150)
    count = office.count()
    note("a sink", f"14 a second: {count.a_second:.1f}, {sink.refusals} refused", count)
    urgent = [position for position, mail in enumerate(sink.messages, 1) if mail.parsed["Subject"] == "urgent"]
    print(f"the last of 100 urgent ones was the {urgent[-1]}th to arrive")
    assert (count.sent, count.lost, count.doubled, count.tries) == (1500, 0, 0, 1)
    assert count.seconds <= 115
    assert count.a_second >= _GOODPUT * 14
    assert urgent[-1] <= 150


def test_a_hundred_in_a_session(office: Office, sink: SmtpServer, note: Note) -> None:
    office.use(sink.address)
    rates = []
    for limit in (None, 100):
        sink.script.per_session = limit
        before = office.count()
        for _ in range(10):
            office.accept(200)
        office.work(60)
        after = office.count()
        rates.append((after.sent - before.sent) / (after.seconds - before.seconds))
        note("a sink", f"{limit or 'as many as it likes'} in a session: {rates[-1]:.0f} a second", after)
        assert (after.waiting, after.lost, after.doubled, after.tries) == (0, 0, 0, 1)
    assert rates[1] >= _GOODPUT * rates[0]
