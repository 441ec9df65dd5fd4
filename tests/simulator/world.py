"""One thread at a time, chosen by a number: time, processes, pauses and deaths, and the database they share."""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ClauseElement
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.db.database import Database
from backend.lib.processes import Fate

BEGINNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_PATIENCE = 60.0


class Killed(BaseException):
    """The process of this thread is no more: nothing that it wanted to do still happens."""


class Process:
    """A process with clocks of its own: ``skew`` is what its wall clock is wrong by, in seconds."""

    def __init__(self, name: str, machine: int, skew: float, boot: float) -> None:
        self.name, self.machine, self.skew, self.boot = name, machine, skew, boot
        self.paused_until = 0.0
        self.alive = True


class Task:
    """A thread of a process, which runs from one point where others may run to the next."""

    def __init__(self, world: "World", process: Process, work: Callable[[], None]) -> None:
        self.process, self.wake, self.ended, self.in_transaction = process, 0.0, False, False
        self.turn = threading.Semaphore(0)
        self.fault: BaseException | None = None
        self._world, self._work = world, work
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        self.turn.acquire()
        try:
            if self.process.alive:
                self._work()
        except Killed:
            pass
        except BaseException as fault:
            self.fault = fault
        self.ended = True
        self._world.back.release()


class World:
    """Everything there is in one schedule."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = 100.0
        self.processes: list[Process] = []
        self.tasks: list[Task] = []
        self.running: Task | None = None
        self.back = threading.Semaphore(0)
        self.away_until = 0.0
        self.steps = 0

    def wall(self) -> datetime:
        """Return what the wall clock of the running process shows."""
        skew = self.running.process.skew if self.running else 0.0
        return BEGINNING + timedelta(seconds=self.now + skew)

    def counter(self) -> float:
        """Return the seconds that the running process's machine has counted."""
        return self.now + (self.running.process.boot if self.running else 0.0)

    def fate(self, token: str) -> Fate:
        """Say what the machine of the running process knows of another one."""
        found = next((one for one in self.processes if one.name == token.partition("+")[0]), None)
        if found is None or self.running is None or found.machine != self.running.process.machine:
            return Fate.UNKNOWN
        return Fate.RUNNING if found.alive else Fate.GONE

    def start(self, process: Process, *works: Callable[[], None]) -> None:
        """Start a process with a thread for each of its works."""
        self.processes.append(process)
        for work in works:
            task = Task(self, process, work)
            task.thread.start()
            self.tasks.append(task)

    def switch(self, seconds: float = 0.0) -> None:
        """Let others run, for so many seconds at least; called by the running thread.

        Raises:
            Killed: if its process has died meanwhile.
        """
        task = self.running
        if task is None or task.in_transaction:
            return
        if task.process.alive:
            task.wake = self.now + seconds
            self.back.release()
            assert task.turn.acquire(timeout=_PATIENCE)
        if not task.process.alive:
            raise Killed

    def kill(self, process: Process) -> None:
        """Let a process die where its threads are."""
        process.alive = False
        for task in [one for one in self.tasks if one.process is process and not one.ended]:
            self._run(task)
        self.tasks = [one for one in self.tasks if not one.ended]

    def step(self) -> None:
        """Run one thread from where it is to the next point; time passes if none can."""
        self.steps += 1
        able = [(max(one.wake, one.process.paused_until), index) for index, one in enumerate(self.tasks)]
        ready = [index for wake, index in able if wake <= self.now]
        if not ready:
            self.now = min(able)[0]
            ready = [index for wake, index in able if wake <= self.now]
        self.now += self.chance.random() * 0.02
        task = self.tasks[self.chance.choice(ready)]
        self._run(task)
        if task.ended:
            self.tasks.remove(task)

    def end(self) -> None:
        """Let every thread end."""
        for process in self.processes:
            self.kill(process)

    def _run(self, task: Task) -> None:
        self.running = task
        task.turn.release()
        assert self.back.acquire(timeout=_PATIENCE)
        self.running = None
        if task.fault is not None:
            raise task.fault


class SharedDatabase(Database):
    """The real database of all processes: before and after each transaction others may run, or it may be away."""

    world: World | None = None

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Session]:
        """Write in one go; the answer may be lost though it was written."""
        with self._apart(), super().transaction(durable=durable) as session:
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Read in one go."""
        with self._apart(), super().read() as session:
            yield session

    @contextmanager
    def autocommit(self) -> Iterator[Session]:
        """Look in one go."""
        with self._apart(), super().autocommit() as session:
            yield session

    @contextmanager
    def single_statements(self) -> Iterator[Callable[[ClauseElement, Mapping[str, Any]], int]]:
        """Give what runs a statement by itself."""
        with super().single_statements() as genuine:

            def run(statement: ClauseElement, parameters: Mapping[str, Any]) -> int:
                with self._apart():
                    return genuine(statement, parameters)

            yield run

    @contextmanager
    def _apart(self) -> Iterator[None]:
        world = self.world
        task = world.running if world is not None else None
        if world is None or task is None or task.in_transaction:
            yield
            return
        self._reached(world)
        task.in_transaction = True
        try:
            yield
        finally:
            task.in_transaction = False
        self._reached(world)

    @staticmethod
    def _reached(world: World) -> None:
        world.switch()
        if world.now < world.away_until:
            world.switch(0.5)
            raise OperationalError("", None, Exception("the database is away"))


class Turnstile:
    """A lock for threads of which one runs at a time."""

    def __init__(self, world: World) -> None:
        self._world, self._taken = world, False

    def __enter__(self) -> None:
        while self._taken:
            self._world.switch(0.01)
        self._taken = True

    def __exit__(self, *_fault: object) -> None:
        self._taken = False
