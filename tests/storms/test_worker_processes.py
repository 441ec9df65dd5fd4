"""Worker processes that are asked to stop, that share a database, and that die with claims in their hands."""

import time

import pytest
from sqlalchemy import select

from backend.db.models.operations import Worker
from backend.delivery.sending.send import CHUNK
from tests.storms.conftest import Works
from tests.storms.installation import wait_until

pytestmark = pytest.mark.timeout(240)  # processes start slowly on a busy machine


def listed_workers(works: Works) -> set[str]:
    with works.lab.database.read() as session:
        return set(session.scalars(select(Worker.name)))


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
def test_a_worker_that_is_asked_to_stop_leaves_nothing_behind(works: Works) -> None:
    works.accept("first", 300)
    worker = works.home.start("worker")
    works.wait_for("SENT", 20)
    assert works.home.stop(worker, 10) == 0, works.home.lines()
    statuses = works.statuses()
    assert set(statuses) == {"SENT", "QUEUED"}, "it went in the middle of its work and put its claims back"
    assert works.copies().total() == statuses["SENT"]
    assert listed_workers(works) == set()

    worker = works.home.start("worker")
    works.wait_for("SENT", 300)
    works.server.script.hang = "rcpt"
    works.accept("second", 10)
    works.wait_for("SENDING", 1)
    began = time.monotonic()
    assert works.home.stop(worker, 20) == 0
    assert time.monotonic() - began < 10
    assert works.statuses() == {"SENT": 300, "QUEUED": 10}, "also those in the hands of a server that hangs"
    assert set(works.copies().values()) == {1}
    assert len(works.copies()) == 300


@pytest.mark.parametrize("any_database", ["postgresql"], indirect=True)
def test_two_workers_send_nothing_twice_and_one_takes_over_from_the_other(works: Works) -> None:
    many = 3 * CHUNK + 50  # more than the threads of one of them claim at a time
    works.accept("first", 200)
    first, second = works.home.start("worker"), works.home.start("worker")
    works.wait_for("SENT", 200)
    assert set(works.copies().values()) == {1}
    wait_until(lambda: len(listed_workers(works)) == 2, 60, works.home.lines)

    works.server.script.hang = "rcpt"
    works.accept("second", many)
    wait_until(lambda: len(works.holders()) == 2, 30, works.home.lines)
    works.home.kill(first)
    works.server.script.hang = None
    works.server.drop_connections()
    assert works.wait_for("SENT", 200 + many) < 15
    assert len(listed_workers(works)) == 1
    assert set(works.copies().values()) == {1}
    assert len(works.copies()) == 200 + many
    works.home.kill(second)


@pytest.mark.parametrize("any_database", ["postgresql"], indirect=True)
def test_a_worker_that_starts_frees_the_claims_of_one_that_was_killed(works: Works) -> None:
    works.server.script.hang = "rcpt"
    works.accept("first", 30)
    worker = works.home.start("worker")
    works.wait_for("SENDING", 1)
    works.home.kill(worker)
    held = works.statuses()["SENDING"]
    assert held > 0
    works.server.script.hang = None
    before = listed_workers(works)
    works.home.start("worker")
    wait_until(lambda: bool(listed_workers(works) - before), 60, works.home.lines)
    assert works.wait_for("SENT", 30) < 5, "counted from the new worker's first heartbeat"
    assert set(works.copies().values()) == {1}
    assert f"{held} deliveries of dead workers" in works.home.lines()
