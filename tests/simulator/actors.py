"""Who takes part: worker processes with their real functions, providers of each kind, and a person who decides."""

import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Literal

from sqlalchemy import select

from backend.channels.base import Channel, Connection, Message, Outcome, ProviderError, Receipt
from backend.db import database as db
from backend.db.leases import EXTEND_SECONDS, Lease
from backend.db.models.notifications import Delivery, Priority
from backend.delivery import tasks
from backend.delivery.outcomes import unknown_outcome
from backend.delivery.outcomes.record import Result
from backend.delivery.outcomes.unknown_outcome import Decision, UnknownOutcome
from backend.delivery.queueing import fairness
from backend.delivery.queueing.claims import Claim
from backend.delivery.sending.send import Sender
from backend.delivery.sending.send_context import PrioritySemaphore
from backend.lib.outages import OUTAGES
from tests.simulator.world import Process, Turnstile, World

BURST = 2
SENDERS = 2
_IDLE_SECONDS = 1.0
_TICK_SECONDS = 3.0


class Account:
    """What the readers have got, and how often one more of a message was allowed for: an answer lost, a decision."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.allowed: Counter[str] = Counter()
        self.exposed: Counter[str] = Counter()


class Sending(Sender):
    """The real one, which also says what its threads have between the last look at the lease and the mark."""

    def __init__(self, lease: Lease, world: World) -> None:
        super().__init__(lease)
        self._world = world
        self.wire: dict[int, tuple[str, ...]] = {}

    def on_wire(self) -> list[str]:
        """Name what would be sent twice if the process were taken for dead now, and what it could not write down."""
        kept = [str(result.claim.uid) for result in self._pending_results._results.values()]
        return [*kept, *chain.from_iterable(self.wire.values())]

    @contextmanager
    def on_its_way(self, claims: Sequence[Claim]) -> Iterator[None]:
        """Note that messages are about to be given away, if nothing is raised meanwhile."""
        self.wire[threading.get_ident()] = tuple(str(claim.uid) for claim in claims)
        try:
            yield
        except BaseException:
            self.wire.pop(threading.get_ident())
            raise

    def _mark(self, run: Any, results: Sequence[Result], outcomes: Any) -> None:
        super()._mark(run, results, outcomes)
        marked = {str(result.claim.uid) for result in results}
        mine = self.wire.get(threading.get_ident(), ())
        self.wire[threading.get_ident()] = tuple(uid for uid in mine if uid not in marked)


class Simulated:
    """A provider that is slow, refuses for now, or loses its answer, as it is drawn; it knows no repetition."""

    def __init__(self, channel: Channel, account: Account, world: World) -> None:
        self.name, self.channel = f"one-{channel.value.lower()}", channel
        self.account, self.world = account, world

    def open(self) -> Connection:
        return self

    def describe(self) -> str:
        return self.name

    def close(self) -> None:
        """Nothing is open."""

    def send(self, message: Message) -> Receipt:
        world = self.world
        world.switch(self._slow(world))
        if world.chance.random() < 0.02:
            raise ProviderError(Outcome.RETRY, "451 later")
        self.account.taken[message.delivery_id] += 1
        world.switch(self._slow(world))
        if world.chance.random() < 0.02:
            self._answer_lost(message)
            raise ProviderError(Outcome.AMBIGUOUS, "the answer was lost")
        return Receipt(self._receipt(message), "taken")

    def _answer_lost(self, message: Message) -> None:
        """Nothing follows from it by itself."""

    def _receipt(self, message: Message) -> str | None:
        return message.delivery_id[:8]

    @staticmethod
    def _slow(world: World) -> float:
        """Draw the seconds that the network takes; now and then it is many."""
        return world.chance.random() * (12.0 if world.chance.random() < 0.05 else 0.6)


class Text(Simulated):
    """Text messages, which no provider can be asked about."""


class Tickets(Simulated):
    """Tickets, which can be looked for."""

    def find(self, message: Message) -> Receipt | None:
        world = self.world
        world.switch(self._slow(world))
        if self.account.taken[message.delivery_id]:
            return Receipt("found", "found")
        self.account.allowed[message.delivery_id] += 1  # what comes behind such an answer is its decision
        return None


class Mail(Simulated):
    """Mail by SMTP: it may go again, and two go at once."""

    repeatable: Literal[True] = True
    burst = BURST

    def send_all(self, messages: Sequence[Message]) -> Iterator[Receipt | ProviderError | None]:
        for message in messages:
            try:
                yield self.send(message)
            except ProviderError as fault:
                yield fault
            yield None

    def _answer_lost(self, message: Message) -> None:
        self.account.allowed[message.delivery_id] += 1

    def _receipt(self, message: Message) -> str | None:  # noqa: ARG002 - a server of mail gives none
        return None


class Worker:
    """A worker process as the real one is made: a heartbeat, ticks that repair, and threads that send."""

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self.lease = Lease(process.name)
        vars(self.lease)["_lock"] = Turnstile(world)
        self.sender = Sending(self.lease, world)
        self.process = process
        self._semaphore = PrioritySemaphore(sys.maxsize)
        self._due: set[Channel] = set()
        world.start(process, self._beat, self._tick, *[self._send] * SENDERS)

    def _beat(self) -> None:
        while True:
            with _outages_survived():
                self.lease.extend()
            self._world.switch(EXTEND_SECONDS)

    def _tick(self) -> None:
        while True:
            with _outages_survived():
                tasks.recover(self.sender)
                with db.current().autocommit() as session:
                    self._due.update(fairness.waiting(session, set(Priority)))
            self._world.switch(_TICK_SECONDS)

    def _send(self) -> None:
        while True:
            for channel in sorted(self._due):
                with _outages_survived():
                    if not self.sender.send_from(channel, semaphore=self._semaphore, limit=10):
                        self._due.discard(channel)
            if not self._due:
                self._world.switch(_IDLE_SECONDS)


@contextmanager
def _outages_survived() -> Iterator[None]:
    try:
        yield
    except OUTAGES:
        return


class Person:
    """Decides about what is of unknown outcome: mostly by what really happened, now and then at a guess."""

    def __init__(self, world: World, account: Account) -> None:
        self._world, self._account = world, account
        world.start(Process("person", -1, 0.0, 0.0), self._decide)

    def _decide(self) -> None:
        while True:
            self._world.switch(10.0)
            with _outages_survived(), db.current().transaction() as session:
                wanted = select(Delivery.id, Delivery.uid).where(Delivery.doubt == UnknownOutcome.PERSON.value)
                for row in session.execute(wanted).all():
                    unknown_outcome.decide(session, row.id, self._decision(row), "ada@lab.example")

    def _decision(self, row: Any) -> Decision:
        arrived = self._account.taken[str(row.uid)] > 0
        if arrived and self._world.chance.random() < 0.9:
            return Decision.MARK_SENT
        self._account.allowed[str(row.uid)] += 1
        return Decision.RESEND
