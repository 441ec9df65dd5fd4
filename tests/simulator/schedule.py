"""A schedule: what happens to whom is drawn by a number; then the accounts are compared with the database."""

import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from unittest.mock import patch

import msgspec
from sqlalchemy import func, select, text, update

from backend.channels.base import Channel, Message, Provider
from backend.db import database as db
from backend.db.models.notifications import Delivery, Event
from backend.delivery.providers import health, routes
from backend.delivery.queueing.claims import Claim
from backend.delivery.sending import compose, dispatch
from backend.delivery.sending.dispatch import SendContext
from backend.intake.accept import accept_many
from backend.lib import clock, processes
from tests.factories import Laboratory, notification
from tests.simulator.actors import BURST, SENDERS, Account, Mail, Person, Simulated, Text, Tickets, Worker
from tests.simulator.world import BEGINNING, Process, SharedDatabase, World

_MESSAGES = ((Channel.EMAIL, 24), (Channel.SMS, 8), (Channel.FRESHSERVICE, 8))
_PROVIDERS: dict[Channel, type[Simulated]] = {Channel.EMAIL: Mail, Channel.SMS: Text, Channel.FRESHSERVICE: Tickets}
_MOST_STEPS = 60_000
_TEMPLATE = {"subject": ..., "content_type": "text"}


class Found(msgspec.Struct, frozen=True):
    """What one schedule came to: ``faults`` are broken promises, in words."""

    number: int
    faults: list[str]
    incidents: int
    again: int
    seconds: float


class Stage:
    """An installation whose messages wait to be sent, again for each schedule."""

    def __init__(self, lab: Laboratory, database: SharedDatabase) -> None:
        self._database = database
        lab.recipient("X_PHONE", ("SMS", "+4915112345678"))
        lab.recipient("X_DESK", ("FRESHSERVICE", "desk@lab.example"))
        recipients = {Channel.EMAIL: "X_LAB", Channel.SMS: "X_PHONE", Channel.FRESHSERVICE: "X_DESK"}
        for channel, count in _MESSAGES:
            changes: dict[str, Any] = {"type": channel.value, "recipient": [recipients[channel]]}
            changes |= {} if channel is not Channel.SMS else _TEMPLATE
            given = [lab.submission(notification(f"{channel}-{number}", **changes)) for number in range(count)]
            accept_many(given, lambda _priorities: None)
        with database.read() as session:
            self.channels = {
                str(row.uid): Channel(row.type) for row in session.execute(select(Delivery.uid, Delivery.type))
            }
        assert len(self.channels) == sum(count for _, count in _MESSAGES)

    def play(self, number: int) -> Found:
        """Play the schedule of a number from the beginning to where nothing is left to be done."""
        chance = random.Random(number)
        random.seed(number)  # of which the pauses between attempts are drawn
        world, account = World(chance), Account()
        workers: list[Worker] = []
        self._reset()
        with _set_up(world, account, self._database, workers):
            play = _Play(world, account, workers)
            Person(world, account)
            try:
                while not self._is_over(world, play) and world.steps < _MOST_STEPS:
                    play.maybe_something_happens()
                    world.step()
            finally:
                world.end()
        faults = self._faults(account, play.incidents)
        again = sum(max(0, count - 1) for count in account.taken.values())
        return Found(number, faults, play.incidents, again, world.now - 100.0)

    def _reset(self) -> None:
        with self._database.transaction() as session:
            for table in ("events", "workers", "provider_state", "provider_minutes"):
                session.execute(text(f"DELETE FROM {table}"))  # noqa: S608
            fresh = {"status": "QUEUED", "attempts": 0, "due_at": BEGINNING, "created_at": BEGINNING}
            gone = dict.fromkeys(("claimed_by", "doubt", "provider", "provider_message_id", "error", "begun_at"))
            session.execute(update(Delivery).values(fresh | gone))
            session.execute(text("UPDATE notifications SET status = 'DISPATCHED'"))

    def _is_over(self, world: World, play: "_Play") -> bool:
        if play.left or world.steps % 100:
            return False
        with self._database.read() as session:
            ended = Delivery.status.in_(["SENT", "FAILED"]) & Delivery.claimed_by.is_(None)
            return session.scalar(select(func.count()).where(ended)) == len(self.channels)

    def _faults(self, account: Account, incidents: int) -> list[str]:
        with self._database.read() as session:
            rows = session.execute(select(Delivery.uid, Delivery.id, Delivery.status, Delivery.claimed_by)).all()
            told = select(Event.delivery_id, func.count()).where(Event.kind == "accepted").group_by(Event.delivery_id)
            accepted = dict(session.execute(told).all())
        faults: list[str] = []
        for uid, identity, status, claimed_by in rows:
            name, count = str(uid), account.taken[str(uid)]
            channel, most = self.channels[name], 1 + account.allowed[name]
            most += account.exposed[name] if channel is Channel.EMAIL else 0
            if status != "SENT" or claimed_by is not None:
                faults.append(f"{channel} {identity} stands still as {status}, claimed by {claimed_by}")
            elif not count:
                faults.append(f"{channel} {identity} is lost")
            if accepted.get(identity, 0) > 1:
                faults.append(f"{channel} {identity} was written down as sent {accepted[identity]} times")
            if count > most:
                faults.append(f"{channel} {identity} was sent {count} times, where {most} can be explained")
        if len(account.exposed) > incidents * 2 * SENDERS * BURST:
            faults.append(f"{len(account.exposed)} messages were on the wire in {incidents} incidents")
        return faults


class _Play:
    """What happens to the processes, as it is drawn."""

    def __init__(self, world: World, account: Account, workers: list[Worker]) -> None:
        self._world, self._account, self._workers = world, account, workers
        self._number = 0
        self.incidents = 0
        self.left = world.chance.randint(1, 5)
        self._every = world.chance.choice((15, 40, 80))
        self._machines = world.chance.choice((1, 2, 3, 4))
        for _ in range(world.chance.randint(2, 3)):
            self._begin()

    def _begin(self) -> None:
        chance = self._world.chance
        self._number += 1
        skew = chance.choice((0.0, 0.0, -120.0, 120.0, chance.uniform(-30, 30)))
        machine = self._number % self._machines
        process = Process(f"worker-{self._number}", machine, skew, machine * 1000.0)
        self._workers.append(Worker(self._world, process))

    def maybe_something_happens(self) -> None:
        """Let a process pause or die where it is, or its clock be set, or the database be away."""
        chance = self._world.chance
        if not self.left or chance.randrange(self._every):
            return
        self.left -= 1
        # Mostly one that has much in hand, since little happens to the others.
        busy = max(self._workers, key=lambda one: len(one.sender.holding))
        worker = busy if chance.random() < 0.6 else chance.choice(self._workers)
        victim = worker.process
        kind = chance.choice(("pause", "pause", "pause", "kill", "kill", "set", "away"))
        if kind == "pause":
            self._expose(worker)
            victim.paused_until = self._world.now + chance.choice((2.0, 15.0, 30.0, 60.0, 120.0))
        elif kind == "kill":
            self._expose(worker)
            self._workers.remove(worker)
            self._world.kill(victim)
            self._begin()
        elif kind == "set":
            victim.skew += chance.choice((-300.0, -40.0, 40.0, 300.0))
        else:
            self._expose(*self._workers)
            self._world.away_until = self._world.now + chance.choice((1.0, 5.0, 30.0))

    def _expose(self, *workers: Worker) -> None:
        """Note what may be sent twice for this, each once: what is on the wire at this moment."""
        self.incidents += len(workers)
        for worker in workers:
            self._account.exposed.update(worker.sender.on_wire())


@contextmanager
def _set_up(world: World, account: Account, database: SharedDatabase, workers: list[Worker]) -> Iterator[None]:
    """Put the world in the place of the clocks, the machine, the database, the providers and the rendering."""
    made: dict[Channel, list[Any]] = {channel: [] for channel in Channel}
    for channel, kind in _PROVIDERS.items():
        made[channel] = [kind(channel, account, world)]
    genuine = dispatch._begin

    def begin(claims: Sequence[Claim], provider: Provider, context: SendContext) -> None:
        (sender,) = [one.sender for one in workers if one.lease is context.lease]
        with sender.on_its_way(claims):
            genuine(claims, provider, context)

    with (
        patch.object(routes, "routes", lambda: made),
        patch.object(routes, "goes_out", lambda channel, _address: bool(made[channel])),
        patch.object(compose.Composer, "compose", _composed),
        patch.object(dispatch, "_begin", begin),
        patch.object(processes, "fate", world.fate),
        patch.object(db, "current", lambda: database),
        patch.object(database, "world", world),
        _own_time(world),
    ):
        health.recent.clear()
        yield
        health.recent.clear()


@contextmanager
def _own_time(world: World) -> Iterator[None]:
    """Let clocks show the world's time, and logs be silent about what is to go wrong."""
    clock.use(world.wall)
    clock.use_counter(world.counter)
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        clock.use(None)
        clock.use_counter(None)


def _composed(_composer: compose.Composer, claims: Sequence[Claim]) -> compose.Composed:
    return compose.Composed([(one, _message(str(one.uid), one.channel, one.address)) for one in claims])


@lru_cache(maxsize=1000)
def _message(uid: str, channel: Channel, address: str) -> Message:
    return Message(
        delivery_id=uid, channel=channel, address=address, sender="a@lab.example", subject="S", text="t", message_id=uid
    )
