"""What the engine itself remembers: its workers and the requests counted against rate limits."""

from datetime import datetime

from advanced_alchemy.base import IdentityBase
from sqlalchemy import BigInteger, ForeignKey, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import Moment
from backend.lib import clock


class Worker(IdentityBase):
    """The lease of a worker process: ``name`` is the token in its claims, which are its own while this row is there.

    ``beats`` counts how often it was extended, ``seen_at`` is when, by the process's own clock: for people alone.
    """

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(64), unique=True)
    started_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    seen_at: Mapped[datetime] = mapped_column(Moment, index=True)
    beats: Mapped[int] = mapped_column(BigInteger, default=0, server_default=text("0"))


class RateWindow(IdentityBase):
    """The requests of one API client in one window of time; ``starts_at`` is in seconds since the epoch."""

    __tablename__ = "rate_windows"
    __table_args__ = (UniqueConstraint("api_client_id", "starts_at"),)

    api_client_id: Mapped[int] = mapped_column(ForeignKey("api_clients.id"))
    starts_at: Mapped[int] = mapped_column(index=True)
    count: Mapped[int]
