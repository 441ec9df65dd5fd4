"""What a million old notifications cost: every hot step before and after they are stored, as a ratio.

``python -m tests.benchmarks.million [--rows 1000000] [sqlite] [postgresql]`` stores notifications with their
deliveries, events and batches, between 25 and 3 days old, and times each step before and after on the same
installation. A step that does not look at old rows has a ratio near 1. ``--plans`` prints afterwards how the database
finds the rows of every statement that reads a large table from end to end.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Table, bindparam, event, func, insert, literal, null, select, text, update

from backend.batching import report as batch_report
from backend.batching import tasks as batching_tasks
from backend.db.database import Database
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Delivery, Event, Notification
from backend.db.types import Moment
from backend.delivery import reaper, retention
from backend.delivery import tasks as delivery_tasks
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.lib import clock, metrics
from backend.monitoring import alarm, gauges, ledger, usage
from backend.reports import failing, first_steps, notification, notifications
from tests.benchmarks import processes
from tests.benchmarks.table import ENGINES, Installation, installation
from tests.factories import BATCH_HTML, Laboratory
from tests.factories import notification as body

_CHUNK = 10_000
_BATCHED = 1_000  # of a chunk, all in one batch
_GROUP = 50
_ROUNDS = 9
# When the measuring before takes place.
_FIRST = timedelta(days=26)
_LARGE = ("notifications", "deliveries", "events", "batch_members")


class Step(msgspec.Struct):
    """One line of the table, in milliseconds."""

    name: str
    before: float
    after: float


class Old:
    """Makes old rows out of one real notification, and of one real batch, by statements for many rows at a time."""

    def __init__(self, database: Database, single: UUID, batched: UUID) -> None:
        self._database = database
        with database.read() as session:
            self._single = session.scalars(select(Notification.id).where(Notification.uid == single)).one()
            self._batched = session.scalars(select(Notification.id).where(Notification.uid == batched)).one()
            self._batch = session.scalars(select(Batch.id)).one()

    def store(self, count: int) -> None:
        """Store ``count`` notifications, evenly from 25 to 3 days ago."""
        chunks = max(1, count // _CHUNK)
        size = count // chunks
        oldest, span = clock.now() - timedelta(days=25), timedelta(days=22)
        for number in range(chunks):
            self._chunk(oldest + span * (number / chunks), size, size * _BATCHED // _CHUNK)
        with self._database.transaction() as session:
            old = Notification.created_at < clock.now() - timedelta(days=2)
            failed = {"status": "FAILED"}
            session.execute(update(Notification).where(old, Notification.id % 100 == 0).values(failed))
            if not self._database.is_sqlite:
                session.execute(text("ANALYZE"))

    def _chunk(self, at: datetime, size: int, batched: int) -> None:
        moment = literal(at, Moment)
        with self._database.transaction() as session:

            def copy(model: Any, source: Any, rows: Any, **changed: Any) -> int:
                """Copy the row ``source`` once for each of ``rows``; return the greatest id there was before."""
                table = cast("Table", model.__table__)
                last = session.scalar(select(func.max(table.c.id))) or 0
                columns = [column for column in table.c if column.name != "id"]
                chosen = [changed.get(column.name, column) for column in columns]
                pattern = select(*chosen).select_from(table.join(rows, literal(1) == 1)).where(table.c.id == source)
                session.execute(insert(table).from_select([column.name for column in columns], pattern))
                return int(last)

            born = {"created_at": moment, "updated_at": moment, "accepted_at": moment}
            made = dict.fromkeys(("created_at", "due_at", "sent_at"), born["created_at"])
            last = copy(Notification, self._single, self._series(size - batched), uid=self._uid(), **born)
            fresh = self._since(Notification, last)
            for source in self._ids(session, Delivery, Delivery.notification_id == self._single):
                last_delivery = copy(Delivery, source, fresh, uid=self._uid(), notification_id=fresh.c.id, **made)
            sent = self._since(Delivery, last_delivery)
            for source in self._ids(session, Event, Event.notification_id == self._single):
                copy(Event, source, sent, notification_id=sent.c.notification_id, delivery_id=sent.c.id, at=moment)
            last = copy(Notification, self._batched, self._series(batched), uid=self._uid(), **born)
            gathered = self._since(Notification, last)
            times = dict.fromkeys(("opened_at", "last_member_at", "closes_at", "dispatched_at"), moment)
            copy(Batch, self._batch, self._series(1), uid=self._uid(), **times)
            batch = session.scalar(select(func.max(Batch.id))) or 0
            installed = gathered.c.id - last
            for source in self._ids(session, BatchMember, BatchMember.batch_id == self._batch):
                copy(
                    BatchMember, source, gathered, batch_id=literal(batch), seq=installed, notification_id=gathered.c.id
                )
            for source in self._ids(session, Delivery, Delivery.batch_id == self._batch):
                copy(Delivery, source, self._series(1), uid=self._uid(), batch_id=literal(batch), **made)
            for source in self._ids(session, Event, Event.batch_id == self._batch):
                copy(Event, source, self._series(1), batch_id=literal(batch), delivery_id=null(), at=moment)

    def _uid(self) -> Any:
        return func.randomblob(16) if self._database.is_sqlite else func.gen_random_uuid()

    @staticmethod
    def _series(count: int) -> Any:
        first = select(literal(1).label("number")).cte(recursive=True)
        return first.union_all(select(first.c.number + 1).where(first.c.number < count))

    @staticmethod
    def _since(model: Any, last: int) -> Any:
        return select(*model.__table__.c).where(model.id > last).subquery()

    @staticmethod
    def _ids(session: Any, model: Any, condition: Any) -> Sequence[int]:
        return cast("Sequence[int]", session.scalars(select(model.id).where(condition)).all())


class Bench:
    """The steps, on one installation."""

    def __init__(self, lab: Laboratory, single: UUID) -> None:
        self.lab = lab
        self.known = single
        self._sender = Sender("worker-of-the-benchmark")
        self._number = 0

    def steps(self) -> Iterator[tuple[str, int, Callable[[], object]]]:
        """Name each step, how many messages it is for, and what does it."""
        yield "accept, 50 together", _GROUP, self.accept
        yield "claim, render, send, record", _GROUP, self.deliver
        yield "GET one by id", 1, lambda: self._read(notification.report, self.lab.service_id, self.known)
        yield "list, first page", 1, self._page
        yield "list, FAILED alone", 1, lambda: self._page(status="FAILED")
        yield "list, by recipient", 1, lambda: self._page(recipient="X_LAB")
        yield "list, of one old day", 1, self._old_day
        yield "portal: list with counts", 1, self._listed
        yield "portal: home page", 1, self._home
        yield "repair, look", 1, lambda: self._read(reaper.orphaned, "worker-of-the-benchmark", set())
        yield "tick of the worker", 1, delivery_tasks.reap.run
        yield "depths", 1, lambda: self._read(gauges.measure)
        yield "ledger of two days", 1, lambda: self._read(ledger.balance)
        yield "GET /metrics, all anew", 1, self._scrape
        yield "retention, look", 1, lambda: self._read(retention.old_notifications)
        yield "retention of batches, look", 1, lambda: self._read(retention.old_batches)

    def accept(self) -> None:
        self._number += _GROUP
        given = [self.lab.submission(body(f"N-{self._number + one}")) for one in range(_GROUP)]
        outcomes = accept_many(given, lambda _priorities: None)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes

    def deliver(self) -> None:
        while self._sender.send_some():
            pass

    def _read(self, ask: Callable[..., object], *parameters: object) -> None:
        with self.lab.database.read() as session:
            ask(session, *parameters)

    def _page(self, **wanted: Any) -> None:
        with self.lab.database.read() as session:
            filtered = notifications.Filter(**wanted)
            notifications.rows(session, self.lab.service_id, filtered, limit=50, before=None)

    def _old_day(self) -> None:
        day = clock.now() - timedelta(days=10)
        self._page(created_from=day, created_to=day + timedelta(days=1))

    def _listed(self) -> None:
        with self.lab.database.read() as session:
            notifications.page(session, self.lab.service_id, notifications.Filter(), before=None)
            notifications.counts(session, self.lab.service_id)

    def _home(self) -> None:
        for ask in (usage.of_service, failing.now, batch_report.next_to_go, first_steps.of_service):
            self._read(ask, self.lab.service_id)

    @staticmethod
    def _scrape() -> None:
        gauges.clear()
        alarm.recent.clear()
        metrics.exposition(gauges.State())

    def times(self) -> dict[str, float]:
        """Time every step, in milliseconds for one message or one look; of several rounds the quickest."""
        found: dict[str, list[float]] = {}
        for _ in range(_ROUNDS):
            for name, count, run in self.steps():
                began = time.perf_counter()
                run()
                found.setdefault(name, []).append((time.perf_counter() - began) * 1000 / count)
        return {name: min(rounds) for name, rounds in found.items()}


@contextmanager
def noting(database: Database) -> Iterator[dict[str, Any]]:
    """Note every statement and the parameters that it had last."""
    said: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        said[statement] = parameters

    event.listen(database.engine, "before_cursor_execute", note)
    yield said
    event.remove(database.engine, "before_cursor_execute", note)


def end_to_end(database: Database, said: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Give the statements that read a large table from end to end, each with the lines of its plan."""
    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    for statement, parameters in said.items():
        if not statement.lstrip().upper().startswith(("SELECT", "WITH", "UPDATE", "DELETE")):
            continue
        with database.engine.connect() as connection:
            rows = connection.exec_driver_sql(f"{explain} {statement}", parameters).all()
        plan = [str(row[-1] if database.is_sqlite else row[0]) for row in rows]
        if any(_is_whole(line) for line in plan):
            yield statement, plan


def _is_whole(line: str) -> bool:
    words = line.split()
    if "Seq" in words:
        return words[words.index("on") + 1] in _LARGE
    return words[:1] == ["SCAN"] and words[1] in _LARGE and "INDEX" not in words


def measure(installed: Installation, rows: int) -> tuple[list[Step], list[tuple[str, list[str]]]]:
    """Time every step before and after so many rows are stored."""
    lab = installed.lab
    clock.use(lambda: datetime.now(UTC) - _FIRST)  # rows are numbered in the order of time
    lab.template("X_LIST", BATCH_HTML)
    buffered = body("S-0", priority="BATCH", aggregator_id="run", template_id="X_LIST", fields={"sample-id": "1"})
    first, second = accept_many([lab.submission(body("first")), lab.submission(buffered)], lambda _priorities: None)
    assert isinstance(first, Accepted), first
    assert isinstance(second, Accepted), second
    refused = [lab.submission(body(f"refused-{one}", template_id="X_NONE")) for one in range(60)]
    accept_many(refused, lambda _priorities: None)
    bench = Bench(lab, UUID(first.notification_id))
    _send_batch(lab)
    bench.deliver()
    bench.times()  # what is made once is made now
    before = bench.times()
    clock.use(None)
    began, small = time.perf_counter(), size(lab.database)
    Old(lab.database, bench.known, UUID(second.notification_id)).store(rows)
    each = (size(lab.database) - small) / rows
    print(f"{rows} notifications stored in {time.perf_counter() - began:.0f} s, {each:.0f} bytes each", flush=True)
    usage._past.cache_clear()
    bench.times()
    with noting(lab.database) as said:
        after = bench.times()
    steps = [Step(name, before[name], after[name]) for name in before]
    return steps, list(end_to_end(lab.database, said))


def size(database: Database) -> int:
    """Return how many bytes the tables and their indexes take."""
    pages = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    with database.read() as session:
        found = text(pages if database.is_sqlite else "SELECT pg_database_size(current_database())")
        return int(session.scalar(found) or 0)


def _send_batch(lab: Laboratory) -> None:
    """Let the one batch be old enough to be dispatched with the next sending."""
    with lab.database.transaction() as session:
        session.execute(update(Batch).values(closes_at=bindparam("at", type_=Moment)), {"at": clock.now()})
    batching_tasks.sweep.run()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.million")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--plans", action="store_true", help="print the plans of statements that read whole tables")
    parser.add_argument("engines", nargs="*", metavar="engine")
    given = parser.parse_args()
    for engine in given.engines or ENGINES:
        with processes.sink(1_000_000_000) as sink, installation(engine, EMAIL_PROVIDERS=sink.address) as installed:
            routes.routes.cache_clear()
            steps, whole = measure(installed, given.rows)
        print(f"\n{engine:<30}{'before ms':>11}{'after ms':>11}{'ratio':>8}")
        for step in steps:
            print(f"{step.name:<30}{step.before:>11.3f}{step.after:>11.3f}{step.after / step.before:>8.2f}")
        print(f"{len(whole)} statements read a large table from end to end")
        for statement, plan in whole if given.plans else ():
            print(statement, *(f"    {line}" for line in plan), sep="\n")


if __name__ == "__main__":
    main()
