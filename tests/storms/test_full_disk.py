"""A worker whose disk is full, as a real process: it waits, says so in few lines, and goes on when there is room."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backend.db.database import Database
from tests.factories import laboratory
from tests.processes import Process
from tests.smtp_server import SmtpServer
from tests.storms.conftest import Works
from tests.storms.installation import Installation, wait_until
from tests.storms.rows import Row, record

pytestmark = pytest.mark.timeout(240)  # processes start slowly on a busy machine

_NO_LIMIT = resource.RLIM_INFINITY


@pytest.fixture
def works(database: Database, tmp_path: Path) -> Iterator[Works]:
    with SmtpServer() as server, Installation(tmp_path, server.address) as home:
        yield Works(laboratory(database), server, home)


def free_space(process: Process, size: int) -> None:
    """Let the files that a process writes grow to so many bytes; what is longer already takes nothing at its end."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, _NO_LIMIT))


def test_a_worker_waits_for_room_and_goes_on(works: Works) -> None:
    works.accept("first", 20)
    worker, lines = works.home.listen("worker")
    works.wait_for("SENT", 20)
    free_space(worker, 1)
    works.accept("second", 60)
    began = time.monotonic()
    wait_until(lambda: any("cannot be used" in line for line in lines), 30, lambda: "".join(lines))
    wait_until(lambda: time.monotonic() - began > 3, 5, str)
    sent = works.copies().total()
    assert worker.poll() is None
    free_space(worker, _NO_LIMIT)
    stood = works.wait_for("SENT", 80)
    copies = works.copies()
    twice, lost = copies.total() - len(copies), 80 - len(copies)
    record(
        Row(fault="disk full under the worker, 3 s", accepted=80, sent=len(copies), twice=twice, lost=lost, stood=stood)
    )
    assert stood < 20
    assert set(works.copies().values()) == {1}
    assert works.copies().total() == 80 > sent - 60
    told = [line for line in lines if "cannot be used" in line]
    assert 1 <= len(told) <= 3, "".join(lines)
    assert not [line for line in lines if "Traceback" in line], "".join(lines)
    assert works.home.stop(worker, 20) == 0
