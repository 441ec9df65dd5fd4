"""The package's tasks: work on a spreadsheet for a turn, and a sweep that finds what no wake-up reached."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from backend.db import database as db
from backend.db.leases import Lease, LostError
from backend.db.models.notifications import Priority
from backend.db.models.spreadsheets import Stage
from backend.delivery import tasks as delivery_tasks
from backend.jobs import claims, files, work
from backend.jobs.claims import Claims
from backend.lib import clock, processes, queue
from backend.lib.problems import Problem
from backend.lib.throttle import Throttle

logger = logging.getLogger(__name__)
# Behind deliveries of every priority, in Huey's counting.
_URGENCY = 4
# A spreadsheet that has been worked on for so long lets others have the thread and wakes itself again.
_SLICE_SECONDS = 1.0
_AT_ONCE = 20
_LATER = timedelta(seconds=30)
_SOON = timedelta(seconds=2)
_MISSING = "The uploaded file is not in the database. Upload it again, or put back what was taken out of the database."
_FAILED = "Carillon failed to go on with this job. The fault has been logged, and it is tried again."
_housekeeping = Throttle()


class _Present:
    """What this process holds; the worker gives it the lease of its process."""

    claimed = Claims(processes.name())
    stopping: Callable[[], bool] = lambda: False


def use(lease: Lease, stopping: Callable[[], bool]) -> None:
    """Work under this lease from now on, until it is ``stopping``."""
    _Present.claimed, _Present.stopping = Claims(lease), stopping


@queue.task
def turn(job_id: int) -> None:
    """Work on a job's spreadsheet for a while, if there is something to do and nobody does it."""
    if _turn(job_id):
        wake(job_id)


def _turn(job_id: int) -> bool:
    claimed = _Present.claimed
    token = claimed.lease.claim(lambda token: _take(claimed, job_id, token))
    if token is None:
        return False
    try:
        return _go_on(job_id, token)
    finally:
        claimed.let_go(job_id)


def _take(claimed: Claims, job_id: int, token: str) -> str | None:
    with db.current().transaction() as session:
        return token if claimed.take(session, token, job_id) else None


def _go_on(job_id: int, token: str) -> bool:
    """Do steps until the turn is over, and give the spreadsheet back; tell whether there is more to do at once."""
    more = False
    try:
        more = _steps(job_id, token)
    except LostError:
        more = True  # it is another worker's by now, or a person has asked for something else
    except FileNotFoundError:
        _postpone(job_id, token, _MISSING)
    except Problem as problem:
        _postpone(job_id, token, problem.detail, _SOON)  # its rows could not be tried out just now
    except SQLAlchemyError:
        logger.exception("Job %d could not go on; it is tried again", job_id)
        raise
    except Exception:
        logger.exception("Job %d could not go on; it is tried again", job_id)
        _postpone(job_id, token, _FAILED)
    with db.current().transaction() as session:
        claims.release(session, job_id, token)
    return more


def _steps(job_id: int, token: str) -> bool:
    end = time.monotonic() + _SLICE_SECONDS
    task = work.begin(job_id, token)
    while True:
        more = work.step(task)
        if task.stage is Stage.AGAIN:
            delivery_tasks.wake({Priority.NORMAL.value: (), Priority.BATCH.value: ()})
        if not more or time.monotonic() > end:
            return more


def _postpone(job_id: int, token: str, note: str, wait: timedelta = _LATER) -> None:
    with db.current().transaction() as session:
        claims.postpone(session, job_id, token, clock.now() + wait, note)


def wake(job_id: int) -> None:
    """Wake a worker for a job."""
    turn(job_id, priority=_URGENCY)


@queue.periodic
def sweep() -> None:
    """Work on jobs whose time has come, or whose worker is gone, each for a turn; do housekeeping once an hour."""
    with db.current().read() as session:
        found = claims.waiting(session, _Present.claimed.lease.token, _AT_ONCE)
    for job_id in found:
        if not _Present.stopping():
            _turn(job_id)
    if _housekeeping.take():
        files.tidy()
