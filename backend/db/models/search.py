"""What notifications are found by: their words, how far these were gathered, and whose have to be gathered anew."""

from advanced_alchemy.base import DefaultBase, IdentityBase
from sqlalchemy import BigInteger, ForeignKey, Index, Text
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column


class SearchEntry(DefaultBase):
    """The words of one notification, and its subject as it was rendered; it goes with the notification.

    ``words`` are separated by spaces. What is specific to a database is said in the migration alone: PostgreSQL has an
    index on them (GIN); on SQLite triggers of this table and of the notifications, which go with the tables where
    these are copied, keep the full-text table ``search_words`` (FTS5), whose rows have the numbers of notifications.
    """

    __tablename__ = "search_entries"
    __table_args__ = (Index("ix_search_entries_service", "service_id", "notification_id"),)

    notification_id: Mapped[int] = mapped_column(
        ForeignKey("notifications.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    service_id: Mapped[int]
    subject: Mapped[str | None] = mapped_column(Text, default=None)
    words: Mapped[str] = mapped_column(Text().with_variant(TSVECTOR(), "postgresql"))


class SearchProgress(DefaultBase):
    """How far the words were gathered: one row.

    Every notification up to ``watermark`` has its entry. All up to ``ceiling`` are there to be seen once none of the
    transactions in ``awaited`` is under way any more (their names, separated by spaces). ``round`` counts the changes
    of this row, so that of several workers that have read the same only one writes.
    """

    __tablename__ = "search_progress"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    watermark: Mapped[int] = mapped_column(BigInteger)
    ceiling: Mapped[int | None] = mapped_column(BigInteger, default=None)
    awaited: Mapped[str] = mapped_column(Text, default="")
    round: Mapped[int] = mapped_column(BigInteger, default=0)


class SearchAgain(IdentityBase):
    """A notification whose words have changed after they were gathered."""

    __tablename__ = "search_again"

    notification_id: Mapped[int] = mapped_column(BigInteger)
