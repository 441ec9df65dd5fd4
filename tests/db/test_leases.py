"""Leases: no wall clock ends one, it is either extended or struck out, and one that was lost is never used again."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import delete, select, update

from backend.db import leases
from backend.db.database import Database
from backend.db.leases import Lease, LostError, Observer
from backend.db.models.operations import Worker
from backend.lib import clock, processes
from backend.lib.processes import Fate
from tests.conftest import MovableClock
from tests.storms.installation import wait_until


@dataclass
class Watch:
    """An observer with its own look at the database."""

    database: Database
    observer: Observer = field(default_factory=Observer)

    def look(self) -> dict[str, leases.Mark]:
        with self.database.autocommit() as session:
            return self.observer.lapsed(session)

    def strike(self, lapsed: dict[str, leases.Mark]) -> list[str]:
        with self.database.transaction() as session:
            return leases.strike_out(session, lapsed)

    def tokens(self) -> set[str]:
        with self.database.autocommit() as session:
            return set(session.scalars(select(Worker.name)))


@pytest.fixture
def watch(any_database: Database, moving_clock: MovableClock) -> Watch:
    return Watch(any_database)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def silent_for(watch: Watch, moving_clock: MovableClock, seconds: int) -> dict[str, leases.Mark]:
    for _ in range(seconds):
        watch.look()
        moving_clock.forward(seconds=1)
    return watch.look()


def test_a_lease_that_is_not_extended_for_its_length_is_struck_out(watch: Watch, moving_clock: MovableClock) -> None:
    lease = Lease("elsewhere")
    lease.extend()
    assert silent_for(watch, moving_clock, 19) == {}
    lease.extend()
    assert silent_for(watch, moving_clock, 19) == {}, "it was extended"
    moving_clock.forward(seconds=1)
    lapsed = watch.look()
    assert watch.strike(lapsed) == ["elsewhere"]
    assert watch.tokens() == set()


@pytest.mark.parametrize("step", [-86_400, -60, 60, 86_400])
def test_no_wall_clock_ends_a_lease(watch: Watch, moving_clock: MovableClock, step: float) -> None:
    lease = Lease("elsewhere")
    lease.extend()
    for _ in range(30):
        assert watch.look() == {}
        moving_clock.set(seconds=step)
        lease.extend()
        assert watch.look() == {}
        lease.confirm("elsewhere")
        moving_clock.set(seconds=-step)
        moving_clock.forward(seconds=1)


def test_a_program_that_counts_nothing_is_seen_to_live_by_its_moments(watch: Watch, moving_clock: MovableClock) -> None:
    Lease("older").extend()
    for _ in range(30):
        moving_clock.forward(seconds=1)
        with watch.database.transaction() as session:
            session.execute(update(Worker).values(seen_at=clock.now()))
        assert watch.look() == {}


def test_who_has_not_looked_has_not_observed(watch: Watch, moving_clock: MovableClock) -> None:
    Lease("elsewhere").extend()
    assert silent_for(watch, moving_clock, 15) == {}
    moving_clock.forward(minutes=5)
    assert silent_for(watch, moving_clock, 19) == {}, "it was stopped itself, and begins anew"
    watch.observer.reset()
    assert silent_for(watch, moving_clock, 19) == {}, "the database was away"
    assert watch.strike(silent_for(watch, moving_clock, 1)) == ["elsewhere"]


def test_an_extension_just_before_it_is_struck_out_saves_it(watch: Watch, moving_clock: MovableClock) -> None:
    lease = Lease("elsewhere")
    lease.extend()
    lapsed = silent_for(watch, moving_clock, 20)
    lease.extend()
    assert watch.strike(lapsed) == []
    lease.confirm("elsewhere")


@pytest.mark.parametrize("any_database", ["postgresql"], indirect=True)
def test_an_extension_that_is_being_committed_is_waited_for(watch: Watch, moving_clock: MovableClock) -> None:
    Lease("elsewhere").extend()
    lapsed = silent_for(watch, moving_clock, 20)
    struck: list[list[str]] = []
    with watch.database.transaction() as session:
        session.execute(update(Worker).values(beats=Worker.beats + 1))
        striking = threading.Thread(target=lambda: struck.append(watch.strike(lapsed)))
        striking.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        with watch.database.engine.connect() as other:

            def waits() -> bool:
                other.rollback()  # one transaction sees always the same
                return other.exec_driver_sql(waiting).scalar() == 1

            wait_until(waits, 30, lambda: "nothing waits for the row")
    striking.join()
    assert struck == [[]]


def test_a_lease_that_was_lost_is_never_used_again(watch: Watch, moving_clock: MovableClock) -> None:
    lease = Lease("elsewhere")
    first = lease.ready()
    watch.strike(silent_for(watch, moving_clock, 20))
    with pytest.raises(LostError):
        lease.confirm(first)
    assert lease.ready() == "elsewhere+2"
    with pytest.raises(LostError):
        lease.confirm(first)
    lease.confirm("elsewhere+2")
    watch.strike(silent_for(watch, moving_clock, 20))
    lease.extend()
    assert watch.tokens() == {"elsewhere+3"}


def test_a_new_lease_whose_registration_was_not_confirmed_is_taken_all_the_same(watch: Watch) -> None:
    lease = Lease("elsewhere")
    lease.extend()
    with watch.database.transaction() as session:
        session.execute(delete(Worker))
        session.add(Worker(name="elsewhere+2", started_at=clock.now(), seen_at=clock.now()))
    lease.extend()
    assert (lease.token, watch.tokens()) == ("elsewhere+2", {"elsewhere+2"})


def test_what_was_confirmed_a_moment_ago_asks_no_database(
    watch: Watch, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = Lease("elsewhere")
    token = lease.ready()
    asked: list[str] = []
    genuine = leases._counted
    monkeypatch.setattr(leases, "_counted", lambda session, name: asked.append(name) or genuine(session, name))
    for _ in range(6):
        lease.confirm(token)
        moving_clock.forward(seconds=1)
    assert asked == []
    moving_clock.forward(seconds=1)
    lease.confirm(token)
    lease.confirm(token)
    assert asked == [token]
    moving_clock.seconds -= 3600
    lease.confirm(token)
    assert asked == [token] * 2, "a count that went backwards is not relied on"


def test_a_lease_that_was_given_back_lets_nothing_leave(watch: Watch) -> None:
    lease = Lease("elsewhere")
    token = lease.ready()
    lease.end()
    with pytest.raises(LostError):
        lease.confirm(token)
    lease.extend()
    assert watch.tokens() == set()


def test_a_stopped_process_of_this_machine_lives_and_a_gone_one_is_dead_at_once(
    watch: Watch, moving_clock: MovableClock, sleeper: subprocess.Popen[bytes]
) -> None:
    name = named(sleeper.pid)
    Lease(name).extend()
    sleeper.send_signal(signal.SIGSTOP)
    assert silent_for(watch, moving_clock, 60) == {}
    sleeper.kill()
    wait_until(lambda: processes.fate(name) is Fate.GONE, 30, lambda: "still there")
    assert set(watch.look()) == {name}, "also while its parent has not asked after it"
    sleeper.wait()
    assert set(watch.look()) == {name}


def named(pid: int) -> str:
    """Name a process as it would name itself."""
    own = processes.name()
    return own.replace(f"/{os.getpid()}.{processes._start(os.getpid())}/", f"/{pid}.{processes._start(pid)}/")


def test_a_process_id_that_was_given_anew_is_another_process(sleeper: subprocess.Popen[bytes]) -> None:
    name = named(sleeper.pid)
    assert processes.fate(name) is Fate.RUNNING
    start = processes._start(sleeper.pid)
    assert processes.fate(name.replace(f".{start}/", ".1/")) is Fate.GONE
    assert processes.fate(f"{name}+2") is Fate.RUNNING, "under whatever lease"


@pytest.mark.parametrize(
    "other", ["worker-one", "host/4026531836/12/ab12cd", "host/000000000000/1.5/ab12cd", "host/unknown/1.5/ab12cd"]
)
def test_of_a_process_elsewhere_this_machine_knows_nothing(other: str) -> None:
    assert processes.fate(other) is Fate.UNKNOWN


def test_a_name_fits_its_column_with_every_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "a" * 200)
    monkeypatch.setattr("os.getpid", lambda: 4_194_304)
    monkeypatch.setattr(processes, "_start", lambda _pid: 9_999_999_999)
    assert len(processes.name()) <= 59, "with a plus and three figures 63 of 64"


def test_nothing_is_claimed_without_a_lease(watch: Watch) -> None:
    token = Lease("elsewhere").ready()
    with watch.database.transaction() as session:
        leases.check(session, token)
        session.execute(delete(Worker))
        with pytest.raises(LostError):
            leases.check(session, token)
