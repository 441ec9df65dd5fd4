"""A service whose mail goes by a real mail server to a sink behind it, and what is counted of that."""

import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
from click.testing import CliRunner
from sqlalchemy import func, select, update

from backend.channels.base import Channel
from backend.commands.receipts import receipts
from backend.db.database import Database
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, Event
from backend.delivery.providers import health, routes
from backend.delivery.sending import send_context
from backend.delivery.sending.pools import ChannelPools
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.lib import settings
from backend.registry import suppressions
from tests.factories import laboratory, notification
from tests.mail_servers.jail import OWN_SENDER, wait_until
from tests.smtp_server import Received, SmtpServer

BOUNCES = "bounces@mail.example"
_SENT = {"SENT", "DELIVERED"}
_WAITING = {"QUEUED", "SENDING"}
_numbers = itertools.count(1)


class Count(msgspec.Struct, frozen=True):
    """What became of messages: ``tries`` is the most that any has used, ``seconds`` for how long they were sent.

    ``lost`` are those of which we say that they were sent, and that came neither to the sink nor back.
    """

    sent: int
    waiting: int
    failed: int
    lost: int
    doubled: int
    tries: int
    seconds: float

    @property
    def a_second(self) -> float:
        """How many messages were sent in a second."""
        return self.sent / self.seconds if self.seconds else 0.0


class Office:
    """The service, its worker, and the sink to which the mail server gives what it took."""

    def __init__(self, database: Database, configure: Callable[..., settings.Settings], sink: SmtpServer) -> None:
        self.database, self.sink = database, sink
        self._configure = configure
        self.lab = laboratory(database)
        self.worker = Sender("worker-one")
        self._seconds = 0.0

    def use(self, *addresses: str, **values: str) -> None:
        """Send by these providers, as a worker does that was started anew."""
        self._configure(EMAIL_PROVIDERS=",".join(addresses), MAIL_FROM=f"Laboratory <{OWN_SENDER}>", **values)
        routes.routes.cache_clear()
        health.recent.clear()
        send_context.UNLIMITED.close()

    def send_from(self, sender: str) -> None:
        """Let the service's mail come from another address."""
        with self.database.transaction() as session:
            session.execute(update(Service).where(Service.id == self.lab.service_id).values(mail_from=sender))

    def accept(self, count: int = 1, to: str = "lab@lab.example", **changes: Any) -> None:
        """Accept so many notifications to one address."""
        group = f"X_{to.partition('@')[0].upper().replace('.', '_')}"
        self.lab.recipient(group, ("EMAIL", to))
        bodies = [notification(f"S-{next(_numbers)}", recipient=[group], **changes) for _ in range(count)]
        answers = accept_many([self.lab.submission(body) for body in bodies], lambda _priorities: None)
        assert all(isinstance(one, Accepted) for one in answers), answers

    def drain(self) -> None:
        """Send what is due now."""
        began = time.monotonic()
        while self.worker.send_some():
            pass
        self._seconds += time.monotonic() - began

    def work(self, seconds: float = 60, threads: int = 8) -> None:
        """Send with the threads of a worker until nothing waits."""
        stopping = threading.Event()
        running = ChannelPools(Sender("worker-one", stopping=stopping.is_set), threads)
        began = time.monotonic()
        try:
            while self._waiting() and time.monotonic() - began < seconds:
                running.wake(high_only=False)
                running.wake(high_only=True)
                stopping.wait(0.05)
            self._seconds += time.monotonic() - began
        finally:
            stopping.set()
            running.stop(5)

    def _waiting(self) -> int:
        with self.database.read() as session:
            query = select(func.count(Delivery.id)).where(Delivery.status.in_(_WAITING))
            return session.scalar(query) or 0

    def rows(self, address: str | None = None) -> list[Delivery]:
        """Return the deliveries, or those to an address."""
        with self.database.read() as session:
            query = select(Delivery).order_by(Delivery.id)
            return [one for one in session.scalars(query) if address in {None, one.address}]

    def told(self) -> str:
        """Return all that is said of the deliveries."""
        with self.database.read() as session:
            details = session.scalars(select(Event.detail)).all()
        return "\n".join([*(one.error or "" for one in self.rows()), *(one or "" for one in details)])

    def suppressed(self, *addresses: str) -> set[str]:
        """Return those of the addresses that get nothing more."""
        with self.database.read() as session:
            return suppressions.suppressed(session, self.lab.service_id, Channel.EMAIL, addresses)

    def arrived(self, count: int, seconds: float = 40) -> list[Received]:
        """Return what has come to the sink once there is so much."""
        return self.sink.wait_for(count, seconds)

    def come_home(self, count: int) -> None:
        """Wait until so many deliveries have failed by what came back of them."""

        def failed() -> bool:
            return sum(one.status == "FAILED" for one in self.rows()) >= count

        wait_until(failed, 40)

    def count(self) -> Count:
        """Count what became of all, when the mail server has given on what it took."""
        rows = self.rows()
        sent = sum(one.status in _SENT for one in rows)
        came = self._all_that_came(sent)
        return Count(
            sent=sent,
            waiting=sum(one.status in _WAITING for one in rows),
            failed=sum(one.status == "FAILED" for one in rows),
            lost=sent - len(came),
            doubled=sum(came.values()) - len(came),
            tries=max((one.attempts for one in rows), default=0),
            seconds=round(self._seconds, 2),
        )

    def _all_that_came(self, expected: int) -> Counter[str]:
        if expected:
            self.arrived(expected)
        return Counter(str(one.parsed["Message-ID"]) for one in self.sink.messages)


def pipe() -> str:
    """Return the command that ``carillon receipts address`` prints for mail servers."""
    done = CliRunner().invoke(receipts, ["address"], catch_exceptions=False)
    command: str = json.loads(done.output)["pipe"]
    return command
