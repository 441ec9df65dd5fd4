"""Random lives of obligations: what may happen to them, in any order, and what has to hold after each thing.

Steps come due, workers take and send them and are killed before or after any commit and around any message, providers
report late, twice and the contrary, people answer, matters are resolved, notifications cancelled, and the clock jumps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import delete, select

from backend.accounts.audit import Actor
from backend.channels.base import Channel, ReceiptEvent, ReceiptKind
from backend.db.models.matters import Conversation, Resolution
from backend.db.models.notifications import Delivery, Event, Notification
from backend.db.models.obligations import Obligation, ObligationDay, ObligationStep
from backend.db.models.operations import Worker
from backend.db.models.receipts import ProviderReceipt
from backend.delivery import tasks as delivery
from backend.delivery.outcomes import receipt_tasks, receipts
from backend.delivery.sending.send import Sender
from backend.intake import escalation, matters
from backend.intake.accept import accept_many
from backend.intake.entries import Accepted
from backend.lib import clock
from backend.lib.problems import Problem
from backend.monitoring import obligation_ledger
from backend.obligations import goals, report, steps, worklist
from backend.obligations.goals import Acknowledgement
from backend.scheduling import tasks as scheduling
from backend.scheduling.cancel import cancel
from tests.conftest import MovableClock
from tests.factories import Laboratory, notification
from tests.obligations.deaths import Killed, Phone, dying_at

KINDS = (ReceiptKind.DELIVERED, ReceiptKind.FAILED, ReceiptKind.BOUNCED, ReceiptKind.DELAYED)
WAYS = ("LINK", "API", "PORTAL")
BEGINNING = datetime(2026, 3, 2, 23, 50, tzinfo=UTC)
_LIVED_IN = (Event, ProviderReceipt, ObligationStep, Obligation, ObligationDay, Conversation, Resolution, Delivery,
             Notification, Worker)  # fmt: skip
_ENDED = ("MET", "CLOSED")
_UNFINISHED = {"QUEUED", "SENDING", "RETRYING", "SCHEDULED"}
# Steps are due within a quarter of an hour; what failed, and what was reported too early, is looked at again later.
_FEWEST_ROUNDS, _MOST_ROUNDS = 3, 10
# The last: what was reported as delivered is reported to have come back.
_CHANGES = {
    ("OPEN", "MET"), ("OPEN", "CLOSED"), ("OPEN", "WORKLIST"),
    ("WORKLIST", "MET"), ("WORKLIST", "CLOSED"), ("MET", "WORKLIST"),
}  # fmt: skip
BY = Actor("person", "bob@lab.example")


def problem_of(act: Callable[[], object]) -> str | None:
    """Return the code with which something was refused, if it was."""
    try:
        act()
    except Problem as problem:
        return problem.code
    return None


class Obligations(RuleBasedStateMachine):
    """A life; ``life`` numbers it, so that what an earlier one has left behind is not mistaken for its own.

    ``latest`` is the latest moment that any clock has shown. ``answered`` are the obligations of which somebody has
    said something; ``ended`` holds the steps that had been taken, and the messages of them that providers had been
    given, when an obligation was seen to have ended.
    """

    lab: Laboratory
    clock: MovableClock
    patch: pytest.MonkeyPatch
    phones: dict[Channel, Phone]
    life = 0

    def __init__(self) -> None:
        super().__init__()
        Obligations.life += 1
        self.begin_anew()
        self.latest = self.clock.moment
        self.untils: dict[UUID, str] = {}
        self.states: dict[UUID, str] = {}
        self.answered: set[UUID] = set()
        self.ended: dict[UUID, tuple[set[UUID], set[str]]] = {}
        self.deaths = 0
        self.senders = count(1)
        self.dead: list[str] = []
        self.sender = self.fresh()

    def begin_anew(self) -> None:
        """Begin where every life begins, whatever an earlier one has left behind."""
        self.clock.set(seconds=(BEGINNING - self.clock.moment).total_seconds())
        with self.lab.database.transaction() as session:
            for table in _LIVED_IN:
                session.execute(delete(table))
        for phone in self.phones.values():
            phone.taken.clear()
            phone.dies = None

    def fresh(self) -> Sender:
        return Sender(f"worker-{self.life}-{next(self.senders)}")

    @property
    def matter(self) -> str:
        return f"matter {self.life}"

    def draw(self, data: st.DataObject) -> UUID:
        return data.draw(st.sampled_from(sorted(self.untils)))

    # What systems do.

    @rule(
        until=st.sampled_from(["acknowledged", "delivered", "read"]),
        gaps=st.lists(st.integers(1, 3), min_size=1, max_size=3),
        kind=st.sampled_from(["EMAIL", "SMS"]),
        later=st.sampled_from([0, 0, 90]),
        twice=st.booleans(),
    )
    def accept(self, until: str, gaps: list[int], kind: str, later: int, twice: bool) -> None:
        name = f"{self.life}|{len(self.untils)}"
        changes: dict[str, Any] = {"send_at": clock.iso(self.latest + timedelta(seconds=later))} if later else {}
        body = notification(name, **changes) | {"matter": self.matter}
        channels = notification(name, type=kind, content_type="text", subject=... if kind == "SMS" else "A")["channels"]
        after = [sum(gaps[: position + 1]) for position in range(len(gaps))]
        body |= {"obligation": {"until": until, "steps": [{"after": f"{one}m", "channels": channels} for one in after]}}
        for _ in range(1 + twice):
            (outcome,) = accept_many([self.lab.submission(body)], lambda _new: None)
            assert isinstance(outcome, Accepted), outcome
        self.untils[UUID(outcome.notification_id)] = until

    @precondition(lambda self: self.untils)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        uid = self.draw(data)
        self.answered.add(uid)
        code = problem_of(lambda: cancel(self.lab.service_id, uid, BY))
        assert code == "already_sent" or (code is None and self.now(uid) in _ENDED)

    @precondition(lambda self: self.untils)
    @rule()
    def resolve(self) -> None:
        self.answered |= set(self.untils)
        matters.resolve(self.lab.service_id, self.matter, None, BY)
        begun = [one for one in self.look().values() if one.steps[0].row.due_at <= self.clock.moment]
        assert {one.row.state for one in begun} <= set(_ENDED), "what has begun ends with its matter"

    # What workers do, and how they end.

    @rule(commit=st.integers(0, 6), after=st.booleans())
    def sweep(self, commit: int, after: bool) -> None:
        self.work(escalation.escalate.run, commit, after)

    @rule(commit=st.integers(0, 6), after=st.booleans())
    def release(self, commit: int, after: bool) -> None:
        self.work(scheduling.release_due.run, commit, after)

    @rule(commit=st.integers(0, 8), after=st.booleans(), dies=st.sampled_from([None, None, "before", "after"]))
    def send(self, commit: int, after: bool, dies: str | None) -> None:
        for phone in self.phones.values():
            phone.dies = dies
        self.work(self.send_due, commit, after)
        for phone in self.phones.values():
            phone.dies = None

    def send_due(self) -> int:
        """Send what is due of the channels that have a provider here; return how many messages that was."""
        return sum(self.sender.send_from(channel) for channel in self.phones)

    @rule(commit=st.integers(0, 3), after=st.booleans())
    def reconcile(self, commit: int, after: bool) -> None:
        self.work(receipt_tasks.reconcile.run, commit, after)

    def work(self, job: Callable[[], object], commit: int, after: bool) -> None:
        """Do a worker's job and die at a commit; none where it does not come to that. Another worker goes on then."""
        try:
            with dying_at(self.patch, commit, after=after):
                job()
        except Killed:
            self.deaths += 1
            self.dead.append(self.sender.lease.token)
            self.sender = self.fresh()

    @rule()
    def leases_run_out(self) -> None:
        with self.lab.database.transaction() as session:
            session.execute(delete(Worker).where(Worker.name.in_(self.dead)))
        self.dead.clear()
        delivery.recover(self.sender)

    @rule()
    def two_workers(self) -> None:
        with self.lab.database.read() as session:
            due = steps.due(session)
        for identity in due:
            found = []
            for _ in range(2):
                with self.lab.database.transaction() as session:
                    found.append(steps.take(session, identity))
            for taken in {one.uid: one for one in found if one is not None}.values():
                escalation.submit(taken)
                escalation.submit(taken)

    # What comes back.

    @precondition(lambda self: self.untils)
    @rule(data=st.data(), kind=st.sampled_from(KINDS), times=st.integers(1, 2), number=st.integers(1, 2))
    def report(self, data: st.DataObject, kind: ReceiptKind, times: int, number: int) -> None:
        """Hear of a message that a provider was given; the same news comes twice, and the contrary later or before."""
        given = sorted(set().union(*(phone.taken for phone in self.phones.values())))
        if not given:
            return
        uid = data.draw(st.sampled_from(given))
        event = ReceiptEvent(
            provider_message_id="", event_id=f"{kind}-{uid}-{number}", kind=kind, detail="", delivery_id=uid, at=None,
            address=None, code=None,
        )  # fmt: skip
        for _ in range(times):
            receipts.receive("ses", [event], b"")

    @precondition(lambda self: self.untils)
    @rule(data=st.data(), through=st.sampled_from(WAYS), of_step=st.booleans())
    def acknowledge(self, data: st.DataObject, through: Any, of_step: bool) -> None:
        uid = self.draw(data)
        seen = self.look()[uid]
        named, before = seen.steps[-1 if of_step else 0].row.notification_uid, seen.row.state
        self.answered.add(uid)
        firsts: list[bool] = []

        def answer() -> None:
            with self.lab.database.transaction() as session:
                given = Acknowledgement("Ada", through)
                firsts.append(goals.acknowledge(session, self.lab.service_id, named, given))

        if problem_of(answer) is None:
            assert firsts == [before in {"OPEN", "WORKLIST"}]
            assert self.now(uid) == "MET"
        else:
            assert before == "CLOSED"

    @precondition(lambda self: self.untils)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        uid = self.draw(data)
        before = self.now(uid)
        self.answered.add(uid)
        with self.lab.database.transaction() as session:
            assert worklist.close(session, self.lab.service_id, uid, "Bob", "Repaired") is (before not in _ENDED)
        assert self.now(uid) in _ENDED

    @rule(seconds=st.sampled_from([1, 30, 61, 200, 3600, -30, -3600]))
    def move_clock(self, seconds: int) -> None:
        self.clock.set(seconds=seconds)
        self.clock.seconds += max(seconds, 0)
        self.latest = max(self.latest, self.clock.moment)

    # What holds after each of them.

    @invariant()
    def nothing_is_silent_nothing_twice(self) -> None:
        with self.lab.database.read() as session:
            entries = obligation_ledger.balance(session, days=2)
            waiting, _ = report.on_worklist(session, self.lab.service_id, 1000, None)
        assert not [entry.describe() for entry in entries if entry.imbalance]
        seen = self.look()
        assert set(seen) == set(self.untils)
        if self.clock.moment.date() == self.latest.date():  # a ledger knows no day that is still to come
            assert sum(entry.opened for entry in entries) == len(seen)
        assert {UUID(one.notification_id) for one in waiting} == {uid for uid, one in seen.items() if one.is_listed}
        for uid, one in seen.items():
            self.follow(uid, one)
        self.nothing_twice([delivery for one in seen.values() for step in one.steps for delivery in step.deliveries])

    def follow(self, uid: UUID, seen: "Seen") -> None:
        before, self.states[uid] = self.states.get(uid, "OPEN"), seen.row.state
        assert before == seen.row.state or (before, seen.row.state) in _CHANGES
        assert (seen.row.state == "OPEN") is (seen.row.next_at is not None)
        assert (seen.row.state in _ENDED) is (seen.row.ended_at is not None)
        assert any(step.row.state == "WAITING" for step in seen.steps) is (seen.row.state == "OPEN")
        assert all(len(step.deliveries) <= 1 for step in seen.steps), "each step is one message"
        if seen.row.state in _ENDED:
            taken = {step.row.notification_uid for step in seen.steps if step.row.taken_at is not None}
            given = {str(one) for step in seen.steps[1:] for one in step.deliveries if self.was_given(one)}
            assert (taken, given) == self.ended.setdefault(uid, (taken, given)), "nothing leaves after the end"
            assert uid in self.answered or seen.row.met_through == "RECEIPT"
        if seen.row.met_through == "RECEIPT":
            assert seen.row.until == "delivered"
            assert "DELIVERED" in {status for step in seen.steps for status in step.deliveries.values()}

    def nothing_twice(self, mine: list[UUID]) -> None:
        """See that a message is given again only where that is safe, and only after a death."""
        assert all(number == 1 for number in self.phones[Channel.SMS].taken.values())
        mails = self.phones[Channel.EMAIL].taken
        assert sum(mails[str(one)] - 1 for one in mine if str(one) in mails) <= self.deaths

    def teardown(self) -> None:
        self.clock.set(seconds=(self.latest - self.clock.moment).total_seconds())
        for number in range(_MOST_ROUNDS):
            self.clock.forward(minutes=10)
            self.leases_run_out()
            for job in (scheduling.release_due, escalation.escalate, receipt_tasks.reconcile):
                job.run()
            if not self.send_due() and number >= _FEWEST_ROUNDS and not self.is_under_way():
                break
        self.nothing_is_silent_nothing_twice()
        for seen in self.look().values():
            assert seen.row.state != "OPEN"
            for step in seen.steps:
                assert step.row.state in {"SENT", "CANCELLED"}
                assert step.row.state == "SENT" or not step.deliveries
                is_message = step.row.number == 0 or step.row.content is not None
                assert bool(step.deliveries) is (step.row.state == "SENT" and is_message), "nothing is forgotten"
                assert not set(step.deliveries.values()) & _UNFINISHED

    # How to look at it.

    def is_under_way(self) -> bool:
        """Tell whether a step has to be taken yet, or a message to be sent."""
        steps_seen = [step for seen in self.look().values() for step in seen.steps]
        left = {status for step in steps_seen for status in step.deliveries.values()} & _UNFINISHED
        return bool(left) or any(step.row.state not in {"SENT", "CANCELLED"} for step in steps_seen)

    def was_given(self, delivery: UUID) -> bool:
        return any(str(delivery) in phone.taken for phone in self.phones.values())

    def now(self, uid: UUID) -> str:
        return self.look()[uid].row.state

    def look(self) -> dict[UUID, "Seen"]:
        """Read this life's obligations with their steps and the messages that those are."""
        wanted = (
            select(Obligation, ObligationStep, Delivery.uid, Delivery.status)
            .join(ObligationStep, ObligationStep.obligation_id == Obligation.id)
            .outerjoin(Notification, Notification.uid == ObligationStep.notification_uid)
            .outerjoin(Delivery, Delivery.notification_id == Notification.id)
            .order_by(Obligation.id, ObligationStep.number)
        )
        found: dict[UUID, Seen] = {}
        with self.lab.database.read() as session:
            for row, step, delivery, status in session.execute(wanted):
                seen = found.setdefault(row.notification_uid, Seen(row))
                if not seen.steps or seen.steps[-1].row is not step:
                    seen.steps.append(SeenStep(step))
                if delivery is not None:
                    seen.steps[-1].deliveries[delivery] = status
        return found


@dataclass
class SeenStep:
    """A step, and the status of each message that it is."""

    row: ObligationStep
    deliveries: dict[UUID, str] = field(default_factory=dict)


@dataclass
class Seen:
    """An obligation with its steps, in order."""

    row: Obligation
    steps: list[SeenStep] = field(default_factory=list)

    @property
    def is_listed(self) -> bool:
        """Tell whether it has to be on the worklist."""
        return self.row.state == "WORKLIST"
