"""The threads of a worker: a channel that hangs holds up no other, and a thread that hangs holds up no message."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from backend.channels.base import Channel, Message
from backend.db.database import Database
from backend.db.models.notifications import Delivery
from backend.delivery import tasks
from backend.delivery.providers import health, routes
from backend.delivery.sending import pools
from backend.delivery.sending.pools import ChannelPools, WorkerPool
from backend.delivery.sending.send import CHUNK, Sender
from backend.intake.accept import accept_many
from tests.delivery.doubles import RepeatableOne, Scripted
from tests.factories import Laboratory, laboratory, notification

PATIENCE = 20.0


class Valve:
    """Holds those who come to it until it is opened, and tells how many have come and gone."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._changed = threading.Condition()
        self.waiting = 0
        self.passed = 0

    def __call__(self, _message: Message) -> None:
        with self._changed:
            self.waiting += 1
            self._changed.notify_all()
        assert self._open.wait(PATIENCE)

    def tick(self, _message: Message) -> None:
        with self._changed:
            self.passed += 1
            self._changed.notify_all()

    def open(self) -> None:
        self._open.set()

    def wait_for(self, true: Callable[[], bool]) -> bool:
        with self._changed:
            return self._changed.wait_for(true, PATIENCE)


@pytest.fixture
def valve() -> Iterator[Valve]:
    made = Valve()
    yield made
    made.open()


@pytest.fixture
def lab(database: Database, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    health.recent.clear()
    made = laboratory(database)
    made.recipient("X_TEAM", ("SLACK", "#samples"))
    return made


@pytest.fixture
def start(valve: Valve, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ChannelPools]]:
    """Start pools that go by the given providers; they are stopped at the end."""
    running: list[ChannelPools] = []

    def begin(*given: Scripted, size: int = 2) -> ChannelPools:
        made = {channel: [one for one in given if one.channel is channel] for channel in Channel}
        monkeypatch.setattr(routes, "routes", lambda: made)
        monkeypatch.setattr(routes, "goes_out", lambda channel, _address: bool(made[channel]))
        stopping = threading.Event()
        running.append(ChannelPools(Sender("worker-one", stopping=stopping.is_set), size))
        return running[-1]

    yield begin
    valve.open()
    for one in running:
        one.stop(PATIENCE)


def accept(lab: Laboratory, count: int, **changes: Any) -> None:
    given = [lab.submission(notification(f"{changes}-{number}", **changes)) for number in range(count)]
    accept_many(given, lambda _priorities: None)


def statuses(lab: Laboratory, channel: Channel) -> list[str]:
    with lab.database.read() as session:
        return sorted(session.scalars(select(Delivery.status).where(Delivery.type == channel.value)))


def test_a_channel_that_hangs_holds_up_no_other(
    lab: Laboratory, valve: Valve, start: Callable[..., ChannelPools]
) -> None:
    slack = Scripted("slack", channel=Channel.SLACK, before=valve)
    mail = Scripted("mail", before=valve.tick)
    accept(lab, CHUNK + 10, type="SLACK", recipient=["X_TEAM"], subject=..., content_type="text")
    accept(lab, 60)
    running = start(slack, mail)
    running.wake(high_only=False)
    assert valve.wait_for(lambda: valve.passed == 60), "all mail went"
    assert valve.wait_for(lambda: valve.waiting == 2), "while no more threads than the channel's own hang"


def test_only_the_channels_that_are_named_are_woken(
    lab: Laboratory, valve: Valve, start: Callable[..., ChannelPools]
) -> None:
    running = start(Scripted("slack", channel=Channel.SLACK, before=valve.tick), Scripted("mail", before=valve.tick))
    accept(lab, 1, type="SLACK", recipient=["X_TEAM"], subject=..., content_type="text")
    accept(lab, 1)
    running.wake([Channel.EMAIL], high_only=False)
    assert valve.wait_for(lambda: valve.passed == 1)
    assert statuses(lab, Channel.SLACK) == ["QUEUED"]
    running.wake(high_only=False)
    assert valve.wait_for(lambda: valve.passed == 2)


def test_high_has_a_thread_of_its_own(lab: Laboratory, valve: Valve, start: Callable[..., ChannelPools]) -> None:
    def hold_normal(message: Message) -> None:
        (valve.tick if message.urgent else valve)(message)

    running = start(Scripted("mail", before=hold_normal))
    accept(lab, CHUNK + 10)  # more than one thread takes at a time
    running.wake(high_only=False)
    assert valve.wait_for(lambda: valve.waiting == 2)
    accept(lab, 3, priority="HIGH")
    running.wake(high_only=True)
    assert valve.wait_for(lambda: valve.passed == 3)
    valve.open()


def test_a_thread_that_hangs_keeps_one_message_and_is_relieved(
    lab: Laboratory, valve: Valve, start: Callable[..., ChannelPools], monkeypatch: pytest.MonkeyPatch
) -> None:
    hung: set[str] = set()

    def first_two_hang(message: Message) -> None:
        if len(hung) < 2:
            hung.add(message.delivery_id)
            valve(message)
        else:
            valve.tick(message)

    monkeypatch.setattr(pools, "STUCK_SECONDS", 0.0)
    monkeypatch.setattr(pools, "_WATCH_SECONDS", 0.05)
    accept(lab, 60)
    running = start(Scripted("mail", before=first_two_hang))
    running.wake(high_only=False)
    assert valve.wait_for(lambda: valve.waiting == 2)
    for _ in range(40):
        running.look()
        running.wake(high_only=False)
        if valve.wait_for(lambda: valve.passed == 58):
            break
    assert valve.passed == 58
    valve.open()
    running.stop(PATIENCE)
    assert statuses(lab, Channel.EMAIL) == ["SENT"] * 60


def test_what_waits_for_its_answer_when_the_worker_stops_is_left_of_unknown_outcome_or_goes_again(
    lab: Laboratory, valve: Valve, start: Callable[..., ChannelPools]
) -> None:
    accept(lab, 1, type="SLACK", recipient=["X_TEAM"], subject=..., content_type="text")
    accept(lab, 1)
    once, again = Scripted("slack", channel=Channel.SLACK, before=valve), RepeatableOne("mail", before=valve)
    running = start(once, again)
    running.wake(high_only=False)
    assert valve.wait_for(lambda: valve.waiting == 2)
    running.stop(0.2)
    assert statuses(lab, Channel.SLACK) == ["SENDING"]
    running.sender.lease.end()
    tasks.recover(Sender("worker-two"))
    with lab.database.read() as session:
        unknown_outcomes = dict(session.execute(select(Delivery.type, Delivery.doubt)).all())
    assert unknown_outcomes == {"SLACK": "person", "EMAIL": None}
    assert statuses(lab, Channel.EMAIL) == ["QUEUED"]


def test_a_pool_misses_no_call_and_survives_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.delivery.sending.pools._AFTER_FAULT_SECONDS", 0.0)
    left, done, lock, ended = [300], threading.Semaphore(0), threading.Lock(), []

    def work(more: Callable[[], None]) -> int:
        with lock:
            if left[0] == 150:
                left[0] -= 1
                raise OSError("the database went away")
            part = min(left[0], 7)
            left[0] -= part
        more()
        for _ in range(part):
            done.release()
        return part

    pool = WorkerPool("test", 3, work, lambda: ended.append(threading.get_ident()))
    for _ in range(400):
        pool.wake()
    assert all(done.acquire(timeout=PATIENCE) for _ in range(299))
    for thread in pool.stop():
        thread.join(PATIENCE)
    assert 1 <= len(ended) <= 3
