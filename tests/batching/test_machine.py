"""Random lives of batches: arrivals, flushes, crashes, lost claims and a clock that jumps, on both databases.

Whatever happens, every accepted member is in exactly one message, in order of arrival.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Literal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from sqlalchemy.exc import OperationalError

from backend.batching import flush, manage, tasks
from backend.batching.join import Joining, Moment, join
from backend.channels.base import Channel, Message, Receipt
from backend.db.database import Database
from backend.delivery import tasks as delivery_tasks
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake import store
from backend.intake.accept import Accepted, accept_many
from backend.lib.problems import Problem
from tests.batching.conftest import LIST
from tests.conftest import MovableClock
from tests.factories import Laboratory, laboratory, notification

AGGREGATORS = ("run-1", "run-2")
RECIPIENTS = ("X_LAB", "X_TEAM")
LIMITS = {"quiet_seconds": 60, "max_wait_seconds": 150, "max_items": 4}


class Killed(BaseException):
    """The process ends here: no handler of ours runs."""


class Sink:
    """A provider that keeps messages, and dies before or after one when it is told to."""

    channel = Channel.EMAIL
    repeatable: Literal[True] = True  # as mail is, by its Message-ID

    def __init__(self) -> None:
        # Connections are kept open by name, also from one test to the next.
        self.name = f"sink-{id(self)}"
        self.messages: list[tuple[str, str]] = []
        self.dies: str | None = None

    def open(self) -> "Sink":
        return self

    def describe(self) -> str:
        return self.name

    def close(self) -> None:
        """Stay open."""

    def send(self, message: Message) -> Receipt:
        dies, self.dies = self.dies, None
        if dies == "before":
            raise Killed
        self.messages.append((message.message_id, message.text))
        if dies == "after":
            raise Killed
        return Receipt(None, "taken")


class Batches(RuleBasedStateMachine):
    """A life; ``life`` numbers it, so that what an earlier one has left behind is not mistaken for its own."""

    lab: Laboratory
    clock: MovableClock
    sink: Sink
    patch: pytest.MonkeyPatch
    life = 0

    def __init__(self) -> None:
        super().__init__()
        Batches.life += 1
        self.sink.messages.clear()
        self.sender = Sender("worker")
        self.latest = self.clock.moment
        self.arrived: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.ids: dict[str, tuple[str, str]] = {}

    @rule(
        numbers=st.lists(st.integers(1, 40), min_size=1, max_size=6),
        aggregator_id=st.sampled_from(AGGREGATORS),
        recipient=st.sampled_from(RECIPIENTS),
        crash=st.sampled_from([False, False, False, True]),
    )
    def accept(self, numbers: list[int], aggregator_id: str, recipient: str, crash: bool) -> None:
        names = [f"{aggregator_id}/{recipient}/{number}" for number in numbers]
        given = [self.lab.submission(self.body(name, aggregator_id, recipient)) for name in names]
        with self.crashing_intake() if crash else self.lasting():
            outcomes = accept_many(given, lambda _new: None)
        for name, outcome in zip(names, outcomes, strict=True):
            if isinstance(outcome, Accepted) and not outcome.duplicate:
                assert name not in self.ids
                self.arrived[aggregator_id, recipient].append(name)
                self.ids[name] = (outcome.notification_id, aggregator_id)

    def body(self, name: str, aggregator_id: str, recipient: str) -> dict[str, object]:
        return notification(
            f"{self.life}|{name}",
            template_id="X_LIST",
            recipient=[recipient],
            priority="BATCH",
            aggregator_id=self.gathered_by(aggregator_id),
            content_type="text",
        )

    def gathered_by(self, aggregator_id: str) -> str:
        return f"{self.life}.{aggregator_id}"

    @contextmanager
    def lasting(self) -> Iterator[None]:
        yield

    @contextmanager
    def crashing_intake(self) -> Iterator[None]:
        """Break each transaction of intake after all was written and before it is committed."""

        def broken(session: object, joining: list[Joining]) -> list[Moment]:
            join(session, joining)  # type: ignore[arg-type]
            raise OperationalError("crash", None, Exception())

        with self.patch.context() as patch:
            patch.setattr(store, "join", broken)
            yield

    @rule()
    def sweep(self) -> None:
        tasks.sweep.run()

    @rule()
    def two_flushers(self) -> None:
        with self.lab.database.read() as session:
            due = flush.due(session)
        first = [tasks.send_off(batch_id) for batch_id in due]
        second = [tasks.send_off(batch_id) for batch_id in due]
        assert all(first)
        assert not any(second)

    @rule()
    def flusher_crashes(self) -> None:
        with self.lab.database.read() as session:
            due = flush.due(session)
        for batch_id in due:
            with suppress(ZeroDivisionError), self.lab.database.transaction() as session:
                flush.dispatch(session, batch_id)
                1 / 0  # noqa: B018 - the crash, before the commit

    @rule(limit=st.integers(1, 3), dies=st.sampled_from([None, None, "before", "after"]))
    def send(self, limit: int, dies: str | None) -> None:
        self.sink.dies = dies
        try:
            self.sender.send_some(limit=limit)
        except Killed:
            assert dies
        self.sink.dies = None

    @rule()
    def repair(self) -> None:
        delivery_tasks.recover(self.sender)

    @rule(seconds=st.sampled_from([1, 30, 60, 151, -30, -3600, 3600]))
    def move_clock(self, seconds: int) -> None:
        self.clock.forward(seconds=seconds)
        self.latest = max(self.latest, self.clock.moment)

    @rule(aggregator_id=st.sampled_from(AGGREGATORS), what=st.sampled_from(["flush", "hold", "release"]))
    def handle(self, aggregator_id: str, what: str) -> None:
        act = {"flush": manage.flush_now, "hold": manage.pause, "release": manage.release}[what]
        self.attempt(lambda: act(self.lab.service_id, self.gathered_by(aggregator_id)))

    @staticmethod
    def attempt(act: Callable[[], object]) -> bool:
        """Do what may be too late or have nothing to do."""
        try:
            act()
        except Problem as problem:
            if problem.code not in {"not_found", "batch_gone"}:
                raise
            return False
        return True

    @precondition(lambda self: self.ids)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.ids)))
        notification_id, aggregator_id = self.ids[name]
        where = self.gathered_by(aggregator_id)
        if self.attempt(lambda: manage.remove(self.lab.service_id, where, UUID(notification_id))):
            for names in self.arrived.values():
                if name in names:
                    names.remove(name)

    def teardown(self) -> None:
        for aggregator_id in AGGREGATORS:
            self.handle(aggregator_id, "release")
        self.clock.forward(seconds=(self.latest - self.clock.moment).total_seconds())  # what was put back comes again
        for _ in range(3):
            self.clock.forward(seconds=200)
            tasks.sweep.run()
            self.repair()
            while self.sender.send_some():
                pass
            self.clock.forward(hours=1)
        self.check()

    def check(self) -> None:
        """Compare what was sent with what arrived: each message has one content, each member one message."""
        contents: dict[str, list[str]] = {}
        for message_id, text in self.sink.messages:
            names = re.findall(rf"\[{self.life}\|([^\]]*)\]", text)
            if names:
                assert contents.setdefault(message_id, names) == names
        order = {name: number for names in self.arrived.values() for number, name in enumerate(names)}
        sent: dict[tuple[str, str], list[str]] = defaultdict(list)
        for names in sorted(contents.values(), key=lambda names: order[names[0]]):
            ((aggregator_id, recipient),) = {tuple(name.split("/")[:2]) for name in names}
            assert len(names) <= LIMITS["max_items"]
            sent[aggregator_id, recipient] += names
        assert dict(sent) == {key: names for key, names in self.arrived.items() if names}


def test_every_accepted_member_is_in_exactly_one_message(
    any_database: Database, moving_clock: MovableClock, no_timers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Sink()
    monkeypatch.setattr(routes, "routes", lambda: {channel: [sink] for channel in Channel})

    shared = laboratory(any_database)
    shared.recipient("X_TEAM", ("EMAIL", "team@lab.example"))
    shared.template("X_LIST", LIST, format="text", batch=LIMITS)

    class Machine(Batches):
        lab, clock, patch = shared, moving_clock, monkeypatch

    Machine.sink = sink
    quick = examples(
        max_examples=20,
        stateful_step_count=25,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine, settings=quick)
