"""The rows that devices of speed serve: what one message costs, with everything on or with one device off.

``python -m tests.benchmarks.device_rows serve`` is ``carillon serve`` in which a device is switched off when a line of
standard input names it, until the next line; ``… deliver NAME`` sends what is due for each line.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import Select, bindparam, func, or_, select

from backend.accounts.oauth import access_tokens
from backend.channels.base import Channel, Message, Receipt
from backend.cli import main as carillon
from backend.db import database as db
from backend.db.leases import Lease
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.delivery.providers import routes
from backend.delivery.queueing import heartbeat
from backend.delivery.sending.pools import ChannelPools
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.rendering.engine import render
from backend.rendering.model import RenderJob, Source
from backend.rendering.starters import starters
from tests.benchmarks import costs, latency, processes, switched_off
from tests.benchmarks.accept import SCOPES
from tests.benchmarks.rules import Sink
from tests.benchmarks.table import Installation, installation
from tests.factories import HTML, Laboratory, notification

ON = "nothing"
_RENDERED = 300
_BY_ONE = 8  # messages under way by each worker process
_UNFINISHED = (DeliveryStatus.QUEUED, DeliveryStatus.SENDING, DeliveryStatus.RETRYING)
_LAST = select(func.max(Delivery.id))
_WAITING = select(func.count()).where(
    Delivery.id > bindparam("last"), or_(Delivery.status.in_(_UNFINISHED), Delivery.claimed_by.is_not(None))
)
_SECONDS = 1.2  # of each measurement of accepting
_COMMAND = (sys.executable, "-m", "tests.benchmarks.device_rows")


class Spent(msgspec.Struct, frozen=True):
    """What one message took in milliseconds: of the process, of that and the database, and of the clock."""

    process: float
    all: float
    wall: float


# Measures once, with what is named switched off.
Measure = Callable[[str], Spent]


def accepting(each: int) -> Callable[[str], Any]:
    """Return the row of requests of so many notifications: milliseconds for each of these."""
    bulk = {"notifications": [notification(f"@N-{number}") for number in range(each)]}
    path, connections, body = ("", 32, notification("@N")) if each == 1 else ("/bulk", 4, bulk)

    @contextmanager
    def row(engine: str) -> Iterator[Measure]:
        with ExitStack() as stack:
            installed = stack.enter_context(installation(engine, PORT=str(processes.free_port())))
            token = access_tokens.issue(installed.lab.client.client_id, SCOPES)
            port, ask = stack.enter_context(_serving(installed))

            def measure(name: str) -> Spent:
                before, database = float(ask(name)), _of_database(installed)
                figures = processes.load(
                    f"http://127.0.0.1:{port}/notifications/v1{path}",
                    connections=connections,
                    seconds=_SECONDS,
                    warm_up=0,
                    headers={"Authorization": f"Bearer {token}"},
                    body=json.dumps(body),
                )
                if set(figures["statuses"]) - {"200", "202"}:
                    raise RuntimeError(f"Not every request was accepted: {figures['statuses']}")
                process, database = float(ask(ON)) - before, _of_database(installed) - database
                return _each(process, database, _SECONDS, sum(figures["statuses"].values()) * each)

            yield measure

    return row


@contextmanager
def _serving(installed: Installation, name: str = ON) -> Iterator[tuple[int, Callable[[str], str]]]:
    """Run a web process; give its port, and what switches a device off there and tells the seconds it has used."""
    port = int(installed.environment["CARILLON_PORT"])
    command = (*_COMMAND, "serve", name)
    with processes.talking(*command, env=installed.environment, log=installed.log) as (web, ask):
        processes.wait_for_port(port, web, installed.log)
        yield port, ask


def _of_database(installed: Installation) -> float:
    return 0.0 if installed.lab.database.is_sqlite else costs.spent_by_backends(installed)


def _each(process: float, database: float, wall: float, count: int) -> Spent:
    return Spent(process / count * 1000, (process + database) / count * 1000, wall / count * 1000)


class Backlog(msgspec.Struct, frozen=True):
    """Messages that wait to be sent: how many, how they are stored, and what the installation needs for them."""

    count: int
    store: Callable[[Laboratory, int], None]
    settings: Callable[[Path], dict[str, str]] = lambda _folder: {}


def delivering(backlog: Backlog, what: str = "deliver") -> Callable[[str], Any]:
    """Return the row of sending a backlog from one worker process to an SMTP sink: milliseconds for each message."""

    @contextmanager
    def row(engine: str) -> Iterator[Measure]:
        with ExitStack() as stack:
            sink = stack.enter_context(processes.sink(10**9))
            folder = Path(stack.enter_context(processes.folder()))
            installed = stack.enter_context(
                installation(engine, EMAIL_PROVIDERS=sink.address, **backlog.settings(folder))
            )
            command = (*_COMMAND, what, ON)
            _, ask = stack.enter_context(processes.talking(*command, env=installed.environment, log=installed.log))

            def measure(name: str) -> Spent:
                backlog.store(installed.lab, backlog.count)
                database = _of_database(installed)
                process, wall = json.loads(ask(name))
                return _each(process, _of_database(installed) - database, wall, backlog.count)

            yield measure

    return row


@contextmanager
def delivering_slowly(engine: str) -> Iterator[Measure]:
    """Messages by a provider that takes a tenth of a second for each: milliseconds of the clock."""
    with delivering(Backlog(200, short), "deliver_slowly")(engine) as measure:

        def of_the_clock(name: str) -> Spent:
            wall = measure(name).wall
            return Spent(wall, wall, wall)

        yield of_the_clock


class SlowSink(Sink):
    """A provider that takes everything after a tenth of a second."""

    def open(self) -> "SlowSink":
        return self

    def send(self, message: Message) -> Receipt:
        time.sleep(0.1)
        return super().send(message)


def short(lab: Laboratory, count: int) -> None:
    """Store texts of 1 KB."""
    _store_texts(lab, count, 1024)


def long(lab: Laboratory, count: int) -> None:
    """Store texts of 16 KB, all in one line."""
    _store_texts(lab, count, 16 * 1024)


def _store_texts(lab: Laboratory, count: int, size: int) -> None:
    filling = "All work and no play makes a dull message. " * (size // 43)
    lab.template("X_LETTER", "{{ fields.sample_id }}: {{ fields.filling }}", format="text")
    _store(lab, count, template_id="X_LETTER", filling=filling[: size - 400], content_type="text")


def _store(lab: Laboratory, count: int, *, filling: str = "", **channel: str) -> None:
    """Accept so many notifications, none of which was there before."""
    first = time.time_ns()
    fields = [{"sample_id": str(number), "filling": filling} for number in range(first, first + count)]
    bodies = [notification(fields=one, **channel) for one in fields]
    for start in range(0, count, 200):
        accept_many([lab.submission(body) for body in bodies[start : start + 200]], lambda _new: None)


def html(lab: Laboratory, count: int) -> None:
    """Store messages of HTML and text."""
    filling = "".join(f"<p>All work <b>{number}</b> and no play makes a dull message.</p>" for number in range(40))
    lab.template("X_PAGE", HTML.replace("</body>", f"{filling}</body>"))
    _store(lab, count, template_id="X_PAGE")


def large(lab: Laboratory, count: int) -> None:
    """Store one notification with so many messages."""
    lab.recipient("X_MANY", *(("EMAIL", f"person-{number}@lab.example") for number in range(count)))
    body = notification(f"{time.time_ns()}", recipient=["X_MANY"])
    accept_many([lab.submission(body)], lambda _new: None)


def signing(folder: Path) -> dict[str, str]:
    """Make a key of 2,048 bits for the sender's domain."""
    pem = generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
    )
    (folder / "key.pem").write_bytes(pem)
    (folder / "key.pem").chmod(0o600)
    return {"DKIM": f"lab.example:one:{folder / 'key.pem'}", "MAIL_FROM": "carillon@lab.example"}


@contextmanager
def hearing(engine: str) -> Iterator[Measure]:
    """HIGH from the POST to the server's 250 on an idle installation: the median in milliseconds of the clock."""
    with ExitStack() as stack:
        sink = stack.enter_context(processes.sink(10**9))
        ways: dict[str, Callable[[str], list[float]]] = {}
        numbers = iter(range(10**6))

        def measure(name: str) -> Spent:
            if name not in ways:
                ways[name] = _way(stack, sink, engine, name)
            ordered = ways[name](f"n{next(numbers)}")
            middle = ordered[len(ordered) // 2]
            return Spent(middle, middle, middle)

        yield measure


def _way(stack: ExitStack, sink: processes.Sink, engine: str, name: str) -> Callable[[str], list[float]]:
    """Start an installation whose processes begin with a device off."""
    installed = stack.enter_context(installation(engine, PORT=str(processes.free_port()), EMAIL_PROVIDERS=sink.address))
    port, _ = stack.enter_context(_serving(installed, name))
    worker = (*_COMMAND, "worker", name)
    stack.enter_context(processes.running(*worker, env=installed.environment, log=installed.log))
    send = latency.sender(port, access_tokens.issue(installed.lab.client.client_id, SCOPES))
    latency.measure(send, sink, f"warm {name}", 10)
    return lambda prefix: latency.measure(send, sink, prefix, 40)


@contextmanager
def rendering(_engine: str) -> Iterator[Measure]:
    """A starter of MJML with HTML and text, rendered in this process: milliseconds for each."""
    starter = next(one for one in starters() if one.identifier == "ACCESSIONING_FAILURE")
    source = Source(format=starter.format, source=starter.source, subject=starter.subject)
    job, switch = RenderJob(key="benchmark", source=source, fields=starter.sample_fields), Switch()

    def measure(name: str) -> Spent:
        switch.off(name)
        began, wall = time.process_time(), time.perf_counter()
        for _ in range(_RENDERED):
            render(job)
        spent = time.process_time() - began
        switch.off(ON)
        return _each(spent, 0.0, time.perf_counter() - wall, _RENDERED)

    yield measure


class Switch:
    """What is switched off in this process."""

    def __init__(self) -> None:
        self._put_back = ExitStack()

    def off(self, name: str) -> None:
        """Have this device off, and every other one on."""
        self._put_back.close()
        if name != ON:
            getattr(switched_off, name)(self._put)

    def _put(self, where: Any, name: str, value: Any) -> None:
        self._put_back.enter_context(mock.patch.object(where, name, value))


def _listen(switch: Switch) -> None:
    """Switch off what each line names; answer with the seconds that this process has used."""
    for line in sys.stdin:
        switch.off(line.strip())
        print(f"{processes.ANSWER}{time.process_time()}", flush=True)


def _deliver(switch: Switch) -> None:
    """Send all that is due for each line of standard input."""
    db.relax()
    lease = Lease("benchmark")
    pulse = heartbeat.Heartbeat(lease)
    pulse.start()
    last = 0
    for line in sys.stdin:
        switch.off(line.strip())
        began, wall = time.process_time(), time.perf_counter()
        pools = ChannelPools(Sender(lease), _BY_ONE)
        pools.wake([Channel.EMAIL], high_only=False)
        while _asked(_WAITING, last=last):
            time.sleep(0.02)
        spent = [time.process_time() - began, time.perf_counter() - wall]
        last = _asked(_LAST)
        pools.stop(2)
        print(f"{processes.ANSWER}{json.dumps(spent)}", flush=True)
    pulse.stop()


def _asked(question: Select[int], **values: int) -> int:
    with db.current().read() as session:
        return session.scalar(question, values) or 0


def main() -> None:
    """Be one of the processes."""
    what, name = sys.argv[1:3]
    switch = Switch()
    switch.off(name)
    if what == "deliver_slowly":
        mock.patch.object(routes, "routes", return_value={one: [SlowSink()] for one in Channel}).start()
    if what.startswith("deliver"):
        _deliver(switch)
        return
    if what == "serve":
        threading.Thread(target=_listen, args=(switch,), daemon=True).start()
    sys.argv = ["carillon", what]
    carillon()


if __name__ == "__main__":
    main()
