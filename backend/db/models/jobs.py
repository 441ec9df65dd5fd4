"""Jobs: notifications that were asked for together."""

from datetime import datetime
from enum import StrEnum

from advanced_alchemy.base import IdentityBase
from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import Moment
from backend.lib import clock


class JobSource(StrEnum):
    """Where a job comes from."""

    ALPHA = "alpha"  # a client of the GOV.UK Notify alpha
    SPREADSHEET = "spreadsheet"  # a file that a person uploaded


class Job(IdentityBase):
    """A group of notifications of one service, whose rows name it as their ``job_id``."""

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_service", "service_id", "id"),)

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    source: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(160))
    file_name: Mapped[str | None] = mapped_column(String(255), default=None)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
