"""What providers have reported too early is applied a moment later, and forgotten at the end of its retention."""

from backend.db import session as db
from backend.delivery import receipts
from backend.lib import queue
from backend.lib.pace import Pace
from backend.registry import suppressions

_CHUNK = 1000
_housekeeping = Pace()


@queue.periodic
def settle() -> None:
    """Apply what could not be applied when it came."""
    database = db.current()
    with database.read() as session:
        due = receipts.anything_due(session)
    if due:
        with database.write() as session:
            receipts.settle(session)


@queue.periodic
def forget() -> None:
    """Delete what is past its retention: a chunk at each tick until nothing is left, then not for an hour."""
    if not _housekeeping.take():
        return
    with db.current().write() as session:
        gone = receipts.forget(session, _CHUNK)
        suppressions.forget_rejections(session)
    if gone == _CHUNK:
        _housekeeping.again()
