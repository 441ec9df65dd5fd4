"""The timer of a worker: each second, whatever the others do, until it is told to stop."""

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from backend import worker
from backend.lib import queue, timer
from backend.lib.queue import Periodic
from backend.lib.timer import Timer

PATIENCE = 10.0


class Times:
    """Counts its calls, and lets a test wait for some."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self.count = 0

    def __call__(self) -> None:
        with self._changed:
            self.count += 1
            self._changed.notify_all()

    def wait_for(self, count: int) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self.count >= count, PATIENCE)


def of(package: str, work: Callable[[], None]) -> Periodic:
    """Make a task as a module of a package declares it."""

    def run() -> None:
        work()

    run.__module__ = f"{package}.tasks"
    return Periodic(run)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., threading.Event]]:
    """Start a timer whose second is short; it is stopped at the end."""
    monkeypatch.setattr(timer, "EVERY_SECONDS", 0.02)
    running: list[tuple[Timer, threading.Event]] = []

    def begin(*tasks: Periodic) -> threading.Event:
        stopping = threading.Event()
        running.append((Timer(tasks, stopping), stopping))
        running[-1][0].start()
        return stopping

    yield begin
    for one, stopping in running:
        stopping.set()
        one.join(PATIENCE)


def test_what_hangs_holds_up_no_other_package(start: Callable[..., threading.Event]) -> None:
    hold, held, others = threading.Event(), Times(), Times()

    def hang() -> None:
        held()
        hold.wait(PATIENCE)

    start(of("backend.one", hang), of("backend.other", others))
    assert held.wait_for(1)
    assert others.wait_for(5)
    assert held.count == 1
    hold.set()
    assert held.wait_for(2), "and goes on when it is over"


def test_a_fault_is_said_and_does_not_end_it(
    start: Callable[..., threading.Event], caplog: pytest.LogCaptureFixture
) -> None:
    after = Times()

    def fail() -> None:
        raise ValueError("no luck")

    with caplog.at_level(logging.ERROR):
        start(of("backend.one", fail), of("backend.one", after))
        assert after.wait_for(3)
    assert "backend.one.tasks.run could not do its work" in caplog.text


def test_it_stops_when_it_is_told(start: Callable[..., threading.Event]) -> None:
    seen = Times()
    stopping = start(of("backend.one", seen))
    assert seen.wait_for(1)
    stopping.set()
    ended = [thread for thread in threading.enumerate() if thread.name == "timer-backend.one"]
    for thread in ended:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in ended)


def test_every_package_with_something_due_is_on_the_timer() -> None:
    assert worker.TASKS, "imported for what they declare"
    packages = {task.package for task in queue.periodic_tasks()}
    wanted = {"delivery", "batching", "callbacks", "jobs", "intake", "accounts", "monitoring"}
    assert packages >= {f"backend.{name}" for name in wanted}
