"""The threads of a worker: a channel that hangs holds up no other, and a thread that hangs holds up no message."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from backend.channels.base import Channel, Message
from backend.db.models.notifications import Delivery
from backend.db.session import Database
from backend.delivery import health, lanes, routes, tasks
from backend.delivery.crew import Crew
from backend.delivery.lanes import Lanes
from backend.delivery.send import CHUNK, Hand
from backend.intake.accept import accept_many
from tests.delivery.doubles import RepeatableOne, Scripted
from tests.factories import Laboratory, laboratory, notification

PATIENCE = 20.0


class Gate:
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
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open()


@pytest.fixture
def lab(database: Database, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    health.recent.forget()
    made = laboratory(database)
    made.recipient("X_TEAM", ("SLACK", "#samples"))
    return made


@pytest.fixture
def start(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Lanes]]:
    """Start lanes that go by the given providers; they are stopped at the end."""
    running: list[Lanes] = []

    def begin(*given: Scripted, size: int = 2) -> Lanes:
        made = {channel: [one for one in given if one.channel is channel] for channel in Channel}
        monkeypatch.setattr(routes, "routes", lambda: made)
        monkeypatch.setattr(routes, "goes_out", lambda channel, _address: bool(made[channel]))
        stopping = threading.Event()
        running.append(Lanes(Hand("worker-one", stopping=stopping.is_set), size))
        return running[-1]

    yield begin
    gate.open()
    for one in running:
        one.stop(PATIENCE)


def accept(lab: Laboratory, count: int, **changes: Any) -> None:
    given = [lab.submission(notification(f"{changes}-{number}", **changes)) for number in range(count)]
    accept_many(given, lambda _priorities: None)


def statuses(lab: Laboratory, channel: Channel) -> list[str]:
    with lab.database.read() as session:
        return sorted(session.scalars(select(Delivery.status).where(Delivery.type == channel.value)))


def test_a_channel_that_hangs_holds_up_no_other(lab: Laboratory, gate: Gate, start: Callable[..., Lanes]) -> None:
    slack = Scripted("slack", channel=Channel.SLACK, before=gate)
    mail = Scripted("mail", before=gate.tick)
    accept(lab, CHUNK + 10, type="SLACK", recipient=["X_TEAM"], subject=..., content_type="text")
    accept(lab, 60)
    running = start(slack, mail)
    running.wake(high_only=False)
    assert gate.wait_for(lambda: gate.passed == 60), "all mail went"
    assert gate.wait_for(lambda: gate.waiting == 2), "while no more threads than the channel's own hang"


def test_only_the_channels_that_are_named_are_woken(lab: Laboratory, gate: Gate, start: Callable[..., Lanes]) -> None:
    running = start(Scripted("slack", channel=Channel.SLACK, before=gate.tick), Scripted("mail", before=gate.tick))
    accept(lab, 1, type="SLACK", recipient=["X_TEAM"], subject=..., content_type="text")
    accept(lab, 1)
    running.wake([Channel.EMAIL], high_only=False)
    assert gate.wait_for(lambda: gate.passed == 1)
    assert statuses(lab, Channel.SLACK) == ["QUEUED"]
    running.wake(high_only=False)
    assert gate.wait_for(lambda: gate.passed == 2)


def test_high_has_a_thread_of_its_own(lab: Laboratory, gate: Gate, start: Callable[..., Lanes]) -> None:
    def hold_normal(message: Message) -> None:
        (gate.tick if message.urgent else gate)(message)

    running = start(Scripted("mail", before=hold_normal))
    accept(lab, CHUNK + 10)  # more than one thread takes at a time
    running.wake(high_only=False)
    assert gate.wait_for(lambda: gate.waiting == 2)
    accept(lab, 3, priority="HIGH")
    running.wake(high_only=True)
    assert gate.wait_for(lambda: gate.passed == 3)
    gate.open()


def test_a_thread_that_hangs_keeps_one_message_and_is_relieved(
    lab: Laboratory, gate: Gate, start: Callable[..., Lanes], monkeypatch: pytest.MonkeyPatch
) -> None:
    hung: set[str] = set()

    def first_two_hang(message: Message) -> None:
        if len(hung) < 2:
            hung.add(message.delivery_id)
            gate(message)
        else:
            gate.tick(message)

    monkeypatch.setattr(lanes, "STUCK_SECONDS", 0.0)
    monkeypatch.setattr(lanes, "_WATCH_SECONDS", 0.05)
    accept(lab, 60)
    running = start(Scripted("mail", before=first_two_hang))
    running.wake(high_only=False)
    assert gate.wait_for(lambda: gate.waiting == 2)
    for _ in range(40):
        running.look()
        running.wake(high_only=False)
        if gate.wait_for(lambda: gate.passed == 58):
            break
    assert gate.passed == 58
    gate.open()
    running.stop(PATIENCE)
    assert statuses(lab, Channel.EMAIL) == ["SENT"] * 60


def test_what_waits_for_its_answer_when_the_worker_stops_is_left_in_doubt_or_goes_again(
    lab: Laboratory, gate: Gate, start: Callable[..., Lanes]
) -> None:
    accept(lab, 1, type="SLACK", recipient=["X_TEAM"], subject=..., content_type="text")
    accept(lab, 1)
    once, again = Scripted("slack", channel=Channel.SLACK, before=gate), RepeatableOne("mail", before=gate)
    running = start(once, again)
    running.wake(high_only=False)
    assert gate.wait_for(lambda: gate.waiting == 2)
    running.stop(0.2)
    assert statuses(lab, Channel.SLACK) == ["SENDING"]
    running.hand.lease.end()
    tasks.recover(Hand("worker-two"))
    with lab.database.read() as session:
        doubts = dict(session.execute(select(Delivery.type, Delivery.doubt)).all())
    assert doubts == {"SLACK": "person", "EMAIL": None}
    assert statuses(lab, Channel.EMAIL) == ["QUEUED"]


def test_a_crew_misses_no_call_and_survives_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backend.delivery.crew._AFTER_FAULT_SECONDS", 0.0)
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

    crew = Crew("test", 3, work, lambda: ended.append(threading.get_ident()))
    for _ in range(400):
        crew.wake()
    assert all(done.acquire(timeout=PATIENCE) for _ in range(299))
    for thread in crew.stop():
        thread.join(PATIENCE)
    assert 1 <= len(ended) <= 3
