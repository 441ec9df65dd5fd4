"""How far the words were gathered, so that none is missed: neither one that is committed late, nor after a restore.

Numbers are given out in order, yet on PostgreSQL transactions come to their ends in any. So a number up to which
everything has its entry (the watermark) only moves to a number that was there to be seen (the ceiling) once all
transactions have ended that were writing notifications just after it was seen: whoever had been given a smaller number
was among them, for a table is locked for writing before a number is given out (PostgreSQL's documentation, "Explicit
Locking" and "pg_locks"). What is not far above the watermark is gathered all the same, as soon as it is seen.
"""

import msgspec
from sqlalchemy import CursorResult, Row, func, select, text, update
from sqlalchemy.orm import Session

from backend.db.models.notifications import Notification
from backend.db.models.search import SearchAgain, SearchEntry, SearchProgress

# The watermark moves by so many numbers at a time, and what is missing is looked for among so many above it. So a look
# stays quick, also while there is a long way to go, or a transaction is left open.
_STEP = 5_000
_REACH = 50_000

_WRITERS = text(
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted"
    " AND relation = CAST('notifications' AS regclass)"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
_MISSING = (
    select(Notification.id)
    .outerjoin(SearchEntry, SearchEntry.notification_id == Notification.id)
    .where(SearchEntry.notification_id.is_(None))
    .order_by(Notification.id)
)


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be gathered: ``missing`` by their rows, ``again`` by the numbers of their requests.

    ``progress`` is what it was read from, ``changes`` what it becomes once that is written.
    """

    round: int
    missing: list[int]
    again: dict[int, int]
    changes: dict[str, int | str | None]
    newest: int

    @property
    def is_idle(self) -> bool:
        """Tell whether there is nothing to write."""
        return not (self.missing or self.again or self.changes)


def scan(session: Session, most: int) -> Scan:
    """See what is to be gathered, up to so many; in a session whose statements see what was committed before each."""
    progress = session.execute(select(*SearchProgress.__table__.c)).one()
    newest = session.scalar(select(func.max(Notification.id))) or 0
    again = select(SearchAgain.id, SearchAgain.notification_id).order_by(SearchAgain.id).limit(most)
    requests = dict(session.execute(again).all())
    if newest <= progress.watermark:
        return Scan(round=progress.round, missing=[], again=requests, changes={}, newest=newest)
    writers = _writers(session)
    above = _MISSING.where(Notification.id.between(progress.watermark + 1, progress.watermark + _REACH))
    missing = list(session.scalars(above.limit(most)))
    changes = _moved(progress, newest, writers, missing, whole=len(missing) < most)
    return Scan(round=progress.round, missing=missing, again=requests, changes=changes, newest=newest)


def _writers(session: Session) -> set[str]:
    """Name the transactions that are writing notifications; SQLite has one writer, whom nobody can overtake."""
    if session.get_bind().dialect.name == "sqlite":
        return set()
    return set(session.scalars(_WRITERS))


def _moved(
    progress: Row[int, int, int | None, str, int], newest: int, writers: set[str], missing: list[int], *, whole: bool
) -> dict[str, int | str | None]:
    """Return what changes about the progress once what is ``missing`` is written: ``whole`` tells that it is all."""
    if progress.ceiling is None:
        ceiling = min(newest, progress.watermark + _STEP)
        awaited = writers
    else:
        ceiling = progress.ceiling
        awaited = set(progress.awaited.split()) & writers
    filled = whole or missing[-1] >= ceiling
    # A ceiling that was only just seen is settled too where nobody writes: all that has a smaller number is there.
    if not awaited and filled:
        return {"watermark": ceiling, "ceiling": None, "awaited": ""}
    if progress.ceiling is None:
        return {"ceiling": ceiling, "awaited": " ".join(sorted(awaited))}
    return {}


def keep(session: Session, seen: Scan) -> bool:
    """Write how far it is; false if another worker has written since, and all of this is to be dropped."""
    values: dict[str, int | str | None] = {"round": seen.round + 1, **seen.changes}
    result = session.execute(update(SearchProgress).where(SearchProgress.round == seen.round).values(**values))
    return isinstance(result, CursorResult) and result.rowcount == 1
