"""The room's tasks: work on a spreadsheet for a turn, and a sweep that finds what no nudge reached."""

import logging
import time
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from backend.db import session as db
from backend.db.leases import Lease, LostError
from backend.db.models.notifications import Priority
from backend.db.models.spreadsheets import Stage
from backend.delivery import tasks as delivery_tasks
from backend.lib import clock, processes, queue
from backend.lib.pace import Pace
from backend.lib.problems import Problem
from backend.spreadsheets import claims, housekeeping, work
from backend.spreadsheets.claims import Hands

logger = logging.getLogger(__name__)

# Behind deliveries of every priority, in Huey's counting.
_URGENCY = 4
# A spreadsheet that has been worked on for so long lets others have the thread and nudges itself again.
_TURN_SECONDS = 1.0
_AT_ONCE = 20
_LATER = timedelta(seconds=30)
_SOON = timedelta(seconds=2)
_MISSING = "The uploaded file is not in the database. Upload it again, or put back what was taken out of the database."
_FAILED = "Carillon failed to go on with this job. The fault has been logged, and it is tried again."
_housekeeping = Pace()


class _Present:
    """What this process holds; the worker gives it the lease of its process."""

    hands = Hands(processes.name())
    stopping: Callable[[], bool] = lambda: False


def use(lease: Lease, stopping: Callable[[], bool]) -> None:
    """Work under this lease from now on, until it is ``stopping``."""
    _Present.hands, _Present.stopping = Hands(lease), stopping


@queue.task
def turn(job_id: int) -> None:
    """Work on a job's spreadsheet for a while, if there is something to do and nobody does it."""
    if _turn(job_id):
        nudge(job_id)


def _turn(job_id: int) -> bool:
    hands = _Present.hands
    try:
        token = _take(hands, job_id)
    except LostError:  # there is no lease of this token: once more under one that is there
        hands.lease.doubt()
        token = _take(hands, job_id)
    if token is None:
        return False
    try:
        return _go_on(job_id, token)
    finally:
        hands.let_go(job_id)


def _take(hands: Hands, job_id: int) -> str | None:
    token = hands.lease.ready()
    with db.current().write() as session:
        return token if hands.take(session, token, job_id) else None


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
    with db.current().write() as session:
        claims.release(session, job_id, token)
    return more


def _steps(job_id: int, token: str) -> bool:
    end = time.monotonic() + _TURN_SECONDS
    task = work.begin(job_id, token)
    while True:
        more = work.step(task)
        if task.stage in (Stage.SENDING, Stage.AGAIN):
            delivery_tasks.nudge({Priority.NORMAL.value: ()})
        if not more or time.monotonic() > end:
            return more


def _postpone(job_id: int, token: str, note: str, wait: timedelta = _LATER) -> None:
    with db.current().write() as session:
        claims.postpone(session, job_id, token, clock.now() + wait, note)


def nudge(job_id: int) -> None:
    """Wake a worker for a job."""
    turn(job_id, priority=_URGENCY)


@queue.periodic
def sweep() -> None:
    """Work on jobs whose time has come, or whose worker is gone, each for a turn; keep house once an hour."""
    with db.current().read() as session:
        found = claims.waiting(session, _Present.hands.lease.token, _AT_ONCE)
    for job_id in found:
        if not _Present.stopping():
            _turn(job_id)
    if _housekeeping.take():
        housekeeping.tidy()
