"""A refusal by a real mail server acts on what it is about and on nothing else: sender, domain, rate, account."""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select, update

from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, Event
from backend.delivery.providers import health, routes
from backend.delivery.sending.pools import ChannelPools
from backend.delivery.sending.send import Sender
from backend.doctor import installation
from backend.doctor.examination import Fault
from backend.intake.accept import Accepted, accept_many
from backend.lib import settings
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification
from tests.smtp_server import SmtpServer

NOT_OWNED = "553 5.7.1 <other@us.example>: Sender address rejected: not owned by user"


@pytest.fixture
def servers() -> Iterator[tuple[SmtpServer, SmtpServer]]:
    with SmtpServer() as first, SmtpServer() as second:
        yield first, second


@pytest.fixture
def use(configure: Callable[..., settings.Settings]) -> Iterator[Callable[..., None]]:
    def providers(*given: SmtpServer) -> None:
        configure(EMAIL_PROVIDERS=",".join(one.address for one in given), MAIL_FROM="Lab <noreply@lab.example>")
        routes.routes.cache_clear()
        health.recent.clear()

    yield providers
    routes.routes.cache_clear()


def accept(lab: Laboratory, count: int = 1, **changes: Any) -> None:
    names = {"template_id": "X_SAMPLE", "recipient": ["X_LAB"]} | changes
    given = [lab.submission(notification(f"S-{time.monotonic_ns()}-{number}", **names)) for number in range(count)]
    assert all(isinstance(one, Accepted) for one in accept_many(given, lambda _priorities: None))


def rows(lab: Laboratory) -> list[Delivery]:
    with lab.database.read() as session:
        query = select(Delivery).where(Delivery.service_id == lab.service_id).order_by(Delivery.id)
        return list(session.scalars(query))


def told(lab: Laboratory) -> str:
    """Return all that a service can read of what happened to its messages."""
    with lab.database.read() as session:
        mine = select(Event.detail).join(Delivery, Delivery.id == Event.delivery_id)
        details = session.scalars(mine.where(Delivery.service_id == lab.service_id)).all()
    return "\n".join([*(one.error or "" for one in rows(lab)), *(detail or "" for detail in details)])


def send_from(lab: Laboratory, sender: str) -> None:
    with lab.database.transaction() as session:
        session.execute(update(Service).where(Service.id == lab.service_id).values(mail_from=sender))


def drain(worker: Sender) -> None:
    while worker.send_some():
        pass


def test_a_refused_sender_holds_its_own_mail_alone(
    database: Database,
    moving_clock: MovableClock,
    servers: tuple[SmtpServer, SmtpServer],
    use: Callable[..., None],
) -> None:
    server, _ = servers
    use(server)
    refused, well = laboratory(database), laboratory(database, "Others")
    send_from(refused, "other@us.example")
    server.script.senders["other@us.example"] = NOT_OWNED
    worker = Sender("worker-one")
    for _ in range(30):
        accept(refused, 2)
        accept(well, 2, template_id="O_SAMPLE", recipient=["O_LAB"])
        drain(worker)
        moving_clock.forward(seconds=30)
    assert {one.status for one in rows(well)} == {"SENT"}
    assert {(one.status, one.attempts) for one in rows(refused)} == {("QUEUED", 0)}
    assert "not owned by user" in told(refused)
    assert "us.example" not in told(well)
    assert len(server.messages) == 60
    with pytest.raises(Fault, match=r"mail from other@us\.example is refused: 553 5\.7\.1"):
        installation._routes()
    moving_clock.forward(hours=30)
    drain(worker)
    assert {one.status for one in rows(refused)} == {"QUEUED"}, "nothing fails for good while it lasts"
    server.script.senders.clear()
    for _ in range(3):
        moving_clock.forward(minutes=20)
        drain(worker)
    assert {(one.status, one.attempts) for one in rows(refused)} == {("SENT", 1)}
    assert "none of them held back" in installation._routes()


@pytest.mark.parametrize(
    ("reply", "at"),
    [
        (NOT_OWNED, "mail"),
        (NOT_OWNED, "rcpt"),
        ("554 5.7.1 <lab@lab.example>: Relay access denied", "rcpt"),
        ("504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", "rcpt"),
        ("550 5.7.26 This mail has been blocked because the sender is unauthenticated", "content"),
        ("554 5.2.252 SendAsDenied; carillon not allowed to send as noreply@lab.example", "content"),
        ("454 Throttling failure: Maximum sending rate exceeded", "content"),
        ("452 4.3.1 Insufficient system storage", "mail"),
    ],
)
def test_what_is_ours_goes_by_the_second_provider_and_fails_nowhere(
    database: Database,
    moving_clock: MovableClock,
    servers: tuple[SmtpServer, SmtpServer],
    use: Callable[..., None],
    *,
    reply: str,
    at: str,
) -> None:
    first, second = servers
    if at == "mail":
        first.script.on_mail = reply
    elif at == "rcpt":
        first.script.replies["lab@lab.example"] = reply
    else:
        first.script.on_content = reply
    lab, worker = laboratory(database), Sender("worker-one")
    use(first)
    accept(lab, 4)
    for _ in range(15):
        drain(worker)
        moving_clock.forward(minutes=20)
    assert {(one.status, one.attempts) for one in rows(lab)} == {("QUEUED", 0)}
    assert reply[:3] in told(lab)
    use(first, second)
    drain(worker)
    assert {one.status for one in rows(lab)} == {"SENT"}
    assert len(second.messages) == 4


def test_a_closed_relay_holds_mail_to_that_domain_alone(
    database: Database,
    moving_clock: MovableClock,
    servers: tuple[SmtpServer, SmtpServer],
    use: Callable[..., None],
) -> None:
    server, _ = servers
    use(server)
    server.script.replies["ada@away.example"] = "554 5.7.1 <ada@away.example>: Relay access denied"
    lab, others, worker = laboratory(database), laboratory(database, "Others"), Sender("worker-one")
    lab.recipient("X_AWAY", ("EMAIL", "ada@away.example"))
    others.recipient("O_AWAY", ("EMAIL", "bob@away.example"))
    accept(lab, 3, recipient=["X_AWAY"])
    accept(lab, 3)
    drain(worker)
    accept(others, 1, template_id="O_SAMPLE", recipient=["O_AWAY"])
    drain(worker)
    assert sorted(one.status for one in rows(lab)) == ["QUEUED"] * 3 + ["SENT"] * 3
    assert "ada@" not in told(others)
    with pytest.raises(Fault, match=r"mail to away\.example is refused"):
        installation._routes()
    server.script.replies.clear()
    moving_clock.forward(seconds=61)
    drain(worker)
    assert {(one.status, one.attempts) for one in [*rows(lab), *rows(others)]} == {("SENT", 1)}


def test_what_is_throttled_is_lost_by_age_alone_and_told_so(
    database: Database,
    moving_clock: MovableClock,
    servers: tuple[SmtpServer, SmtpServer],
    use: Callable[..., None],
) -> None:
    server, _ = servers
    use(server)
    server.script.replies["lab@lab.example"] = "450 4.7.1 come back another time"
    lab, worker = laboratory(database), Sender("worker-one")
    accept(lab)
    for _ in range(23):
        drain(worker)
        moving_clock.forward(hours=1)
    (row,) = rows(lab)
    assert (row.status, row.attempts) == ("QUEUED", 0)
    assert "it is tried until 2026-03-03 09:00 UTC" in told(lab)
    moving_clock.forward(hours=2)
    drain(worker)
    (row,) = rows(lab)
    assert (row.status, row.attempts) == ("FAILED", 1)
    assert "It was tried for a day" in (row.error or "")


def goes_out(lab: Laboratory, count: int, urgent: int) -> float:
    """Send a backlog with the threads of a worker; return how long it took."""
    accept(lab, count - urgent)
    accept(lab, urgent, priority="HIGH")
    stopping = threading.Event()
    running = ChannelPools(Sender("worker-one", stopping=stopping.is_set), 8)
    began = time.monotonic()
    try:
        while any(one.status != "SENT" for one in rows(lab)) and time.monotonic() - began < 60:
            running.wake(high_only=False)
            running.wake(high_only=True)
            stopping.wait(0.25)
    finally:
        stopping.set()
        running.stop(5)
    return time.monotonic() - began


def test_a_backlog_leaves_nearly_as_quickly_as_the_server_bears_and_uses_up_no_tries(
    database: Database, servers: tuple[SmtpServer, SmtpServer], use: Callable[..., None]
) -> None:
    server, _ = servers
    use(server)
    server.script.rate = (14, 0.2)  # 70 a second
    lab = laboratory(database)
    took = goes_out(lab, 400, 20)
    print(f"400 messages at 70 a second: {took:.1f} s, {server.refusals} refused, {server.connections} sessions")
    assert {(one.status, one.attempts) for one in rows(lab)} == {("SENT", 1)}
    assert len(server.messages) == 400
    assert took < 15, "5.7 s at least; the tests of rates say how near it comes where nothing else runs"


def test_a_limit_of_the_session_costs_a_new_session_and_nothing_else(
    database: Database, servers: tuple[SmtpServer, SmtpServer], use: Callable[..., None]
) -> None:
    server, _ = servers
    use(server)
    server.script.per_session = 20
    lab = laboratory(database)
    goes_out(lab, 300, 0)
    assert {(one.status, one.attempts) for one in rows(lab)} == {("SENT", 1)}
    assert len(server.messages) == 300
    assert "452" not in told(lab)
