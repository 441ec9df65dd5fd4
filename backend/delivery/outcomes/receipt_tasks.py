"""What providers have reported too early is applied a moment later, and forgotten at the end of its retention."""

from backend.db import database as db
from backend.delivery.outcomes import receipts
from backend.lib import queue
from backend.lib.throttle import Throttle
from backend.registry import suppressions

_CHUNK = 1000
_MOST_CHUNKS = 40  # in one tick
_housekeeping = Throttle()


@queue.periodic
def reconcile() -> None:
    """Apply what could not be applied when it came."""
    database = db.current()
    with database.read() as session:
        due = receipts.anything_due(session)
    for _ in range(_MOST_CHUNKS if due else 0):
        with database.transaction() as session:
            resolved = receipts.reconcile(session)
        if resolved < receipts.CHUNK:
            return


@queue.periodic
def purge() -> None:
    """Delete what is past its retention: a chunk at each tick until nothing is left, then not for an hour."""
    if not _housekeeping.take():
        return
    with db.current().transaction() as session:
        gone = receipts.purge(session, _CHUNK)
        suppressions.purge_rejections(session)
    if gone == _CHUNK:
        _housekeeping.again()
