"""The package's tasks: a timer for each batch, and a sweep that finds what no timer reached."""

import logging
import time
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache, partial

from sqlalchemy.exc import SQLAlchemyError

from backend.batching import flush
from backend.batching.join import Moment
from backend.db import database as db
from backend.db.database import Database
from backend.db.models.notifications import Priority
from backend.delivery import tasks as delivery_tasks
from backend.lib import clock, queue, traces
from backend.lib.ttl_cache import TtlCache

logger = logging.getLogger(__name__)

# Between NORMAL deliveries and those of batches, in Huey's counting.
_URGENCY = 15
# A sweep that has worked for so long lets others have the thread; the next tick goes on.
_SLICE_SECONDS = 2.0
# How often it is looked for what processes of the release before gave up.
_TAKE_UP_SECONDS = 60.0


def arm(moments: Iterable[Moment]) -> None:
    """Set the timers of batches, after the commit that made them."""
    for moment in moments:
        look(moment.batch_id, priority=_URGENCY, delay=_seconds_until(moment.at))


def _seconds_until(moment: datetime) -> float:
    return max(0.0, (moment - clock.now()).total_seconds())


@queue.task
def look(batch_id: int) -> None:
    """Dispatch a batch whose moment has come; one whose moment has moved is looked at again then."""
    if send_off(batch_id):
        delivery_tasks.wake({Priority.BATCH.value: ()})
        return
    with db.current().read() as session:
        moment = flush.next_look(session, batch_id)
    if moment is not None:
        arm([Moment(batch_id, moment)])


def send_off(batch_id: int) -> bool:
    """Dispatch one batch in a transaction of its own, if it is due; tell whether there is something to deliver."""
    with db.current().transaction() as session:
        flushed = flush.dispatch(session, batch_id)
    if flushed is not None and traces.enabled():
        traces.mark(flushed.uid, "flush", {}, fault="no message" if flushed.error else None)
    return flushed is not None and flushed.goes


@queue.periodic
def sweep() -> None:
    """Dispatch every batch that is due; the trouble of one is not that of the others."""
    database = db.current()
    with database.autocommit() as session:
        lost = flush.anything_ahead(session)
    if lost:
        with database.transaction() as session:
            flush.fix_clock_skew(session)
    _taken_up(database).get()
    with database.autocommit() as session:
        due = flush.due(session)
    end = time.monotonic() + _SLICE_SECONDS
    dispatched = False
    for batch_id in due:
        try:
            dispatched = send_off(batch_id) or dispatched
        except SQLAlchemyError:
            logger.exception("Batch %d could not be dispatched; it is tried again", batch_id)
        if time.monotonic() > end:
            break
    if dispatched:
        delivery_tasks.wake({Priority.BATCH.value: ()})


@lru_cache(maxsize=16)
def _taken_up(database: Database) -> TtlCache[list[int]]:
    return TtlCache(partial(_take_up, database), seconds=_TAKE_UP_SECONDS)


def _take_up(database: Database) -> list[int]:
    with database.transaction() as session:
        return flush.take_up(session)
