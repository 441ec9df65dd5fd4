"""The worker's looks at what is scheduled: what is due is released, and what has broken before that is told."""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError

from backend.batching import tasks as batching_tasks
from backend.db import database as db
from backend.delivery import tasks as delivery_tasks
from backend.lib import queue
from backend.lib.throttle import Throttle
from backend.scheduling import release, upkeep, waiting

logger = logging.getLogger(__name__)

# Who has worked for so long lets others have the thread; the next tick goes on.
_SLICE_SECONDS = 2.0
_upkeep = Throttle(timedelta(seconds=15))


@queue.periodic
def release_due() -> None:
    """Release what is due; the trouble of one notification is not that of the others."""
    end = time.monotonic() + _SLICE_SECONDS
    while time.monotonic() < end:
        with db.current().autocommit() as session:
            found = release.due(session)
        if not found or not _release(found):
            return


def _release(notification_ids: Sequence[int]) -> bool:
    """Release these together, or one by one if that does not go; tell whether anything was released."""
    try:
        return _release_together(notification_ids)
    except SQLAlchemyError:
        if len(notification_ids) == 1:
            logger.exception("Notification %d could not be released; it is tried again", notification_ids[0])
            return False
        done = [_release([one]) for one in notification_ids]
        return any(done)


def _release_together(notification_ids: Sequence[int]) -> bool:
    with db.current().transaction() as session:
        released = release.release(session, notification_ids)
    if released.messages:
        delivery_tasks.wake(released.messages)
    batching_tasks.arm(released.moments)
    return released.anything


@queue.periodic
def end_waits() -> None:
    """Let go what has waited for a window or the end of a mute."""
    end = time.monotonic() + _SLICE_SECONDS
    while time.monotonic() < end:
        with db.current().autocommit() as session:
            found = waiting.due(session)
        if not found:
            return
        with db.current().transaction() as session:
            going = waiting.release(session, found)
        if going:
            delivery_tasks.wake(going)


@queue.periodic
def look_after() -> None:
    """Try what is scheduled with templates that have changed, some at a time."""
    if not _upkeep.take():
        return
    with db.current().read() as session:
        found = upkeep.stale(session)
        templates = upkeep.published(session, found) if found else {}
    tried = [
        done
        for one in found
        if (done := upkeep.attempt(one, templates.get((one.service_id, one.template)))) is not None
    ]
    if tried:
        with db.current().transaction() as session:
            upkeep.write(session, tried)
    if len(tried) == upkeep.CHUNK:
        _upkeep.again()
