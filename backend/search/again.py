"""Asking for words to be gathered anew: where a notification's addresses, subject or content have changed."""

from collections.abc import Collection

from sqlalchemy import BigInteger, cast, insert, select
from sqlalchemy.orm import Session

from backend.db.models.batches import BatchMember
from backend.db.models.search import SearchAgain


def of_notifications(session: Session, rows: Collection[int]) -> None:
    """Have the words of these notifications gathered anew, once this transaction is committed."""
    if rows:
        session.execute(insert(SearchAgain), [{"notification_id": row} for row in rows])


def of_batch(session: Session, batch_id: int) -> None:
    """Have the words of a batch's notifications gathered anew: its message has addresses by now."""
    members = select(cast(BatchMember.notification_id, BigInteger)).where(
        BatchMember.batch_id == batch_id, BatchMember.removed_at.is_(None)
    )
    session.execute(insert(SearchAgain).from_select(["notification_id"], members))
