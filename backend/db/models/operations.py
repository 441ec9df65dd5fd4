"""What the engine itself remembers: its workers and the requests counted against rate limits."""

from datetime import datetime

from advanced_alchemy.base import IdentityBase
from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import Moment
from backend.lib import clock


class Worker(IdentityBase):
    """A worker process; it holds its claims for as long as its heartbeat is fresh."""

    __tablename__ = "workers"

    name: Mapped[str] = mapped_column(String(64), unique=True)
    started_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    seen_at: Mapped[datetime] = mapped_column(Moment, index=True)


class RateWindow(IdentityBase):
    """The requests of one API client in one window of time; ``starts_at`` is in seconds since the epoch."""

    __tablename__ = "rate_windows"
    __table_args__ = (UniqueConstraint("api_client_id", "starts_at"),)

    api_client_id: Mapped[int] = mapped_column(ForeignKey("api_clients.id"))
    starts_at: Mapped[int] = mapped_column(index=True)
    count: Mapped[int]
