"""Filling the index: a bounded number of notifications at a time, each number in a transaction of its own."""

from typing import Any, cast

from sqlalchemy import Table, delete, insert, select
from sqlalchemy.orm import Session

from backend.db.database import Database
from backend.db.models.notifications import Notification
from backend.db.models.search import SearchAgain, SearchEntry
from backend.search import documents, progress
from backend.search.documents import Entry
from backend.search.progress import Scan

MOST = 250

_INSERT = insert(cast("Table", SearchEntry.__table__))


def some(database: Database, most: int = MOST) -> Scan:
    """Gather the words of up to so many notifications that have none yet, and of as many that have changed.

    Nobody waits for it: words are gathered with nothing locked, and written without waiting for the disk. What a
    power cut takes back is gathered again, since how far it came is of the same transaction.
    """
    with database.autocommit() as session:
        seen = progress.scan(session, most)
        gathered = documents.entries(session, {*seen.missing, *seen.again.values()})
    if not seen.is_idle:
        with database.transaction(durable=False) as session:
            if progress.keep(session, seen):
                _write(session, seen, gathered)
    return seen


def _write(session: Session, seen: Scan, gathered: list[Entry]) -> None:
    anew = set(seen.again.values())
    if anew:
        session.execute(delete(SearchEntry).where(SearchEntry.notification_id.in_(anew)))
        session.execute(delete(SearchAgain).where(SearchAgain.id.in_(seen.again)))
    there = _still_there(session, [one.notification_id for one in gathered])
    rows = [_row(one) for one in gathered if one.notification_id in there]
    if rows:
        session.connection().execute(_INSERT, rows)


def _still_there(session: Session, rows: list[int]) -> set[int]:
    """Return those that have not been deleted meanwhile, and cannot be before this transaction ends."""
    wanted = select(Notification.id).where(Notification.id.in_(rows)).order_by(Notification.id)
    return set(session.scalars(wanted.with_for_update(read=True, key_share=True)))


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "notification_id": entry.notification_id,
        "service_id": entry.service_id,
        "subject": entry.subject,
        "words": entry.words,
    }
