"""Jobs that are sent from an uploaded spreadsheet: what to make of its rows, how far that has come, and its faults."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import GUID, BigIntIdentity
from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import JsonB, Moment
from backend.lib import clock


class Stage(StrEnum):
    """How far a spreadsheet has come."""

    CHECKING = "CHECKING"
    CHECKED = "CHECKED"  # it waits for a person
    UNREADABLE = "UNREADABLE"  # ``note`` says why
    SENDING = "SENDING"  # from ``due_at`` on, which may be ahead
    AGAIN = "AGAIN"  # what failed is queued anew
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    DONE = "DONE"  # every row has become a notification, or is a faulty one
    EXPIRED = "EXPIRED"  # nobody sent it within its keeping time


# A worker has something to do for these.
MOVING = (Stage.CHECKING, Stage.SENDING, Stage.AGAIN, Stage.STOPPING)
_MOVING = text(f"stage IN ({', '.join(repr(stage.value) for stage in MOVING)})")


class Spreadsheet(IdentityBase):
    """The file of a job and what is made of it.

    ``uid`` names the file, and is what the identities of its notifications are derived from.
    ``columns`` are the file's own, in order; the one at ``recipient_column`` holds an address, or a recipient group
    where ``to_groups`` is set. ``position`` is where the next row begins, in bytes, and ``next_row`` its number as
    spreadsheet programs count, the header being row 1; both belong to the present stage's pass through the file.
    ``due_at`` is when a worker may go on; ``note`` says why it does not, or why the file cannot be used. ``asked_at``
    and ``asked_by`` are when and by whom it was stopped, or its failures were sent again. ``claimed_by`` names the
    worker that has it claimed. ``cursor`` is used no more; the release before still writes it.
    """

    __tablename__ = "spreadsheets"
    __table_args__ = (Index("ix_spreadsheets_moving", "due_at", sqlite_where=_MOVING, postgresql_where=_MOVING),)

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"), unique=True)
    uid: Mapped[UUID] = mapped_column(GUID(), unique=True)
    stage: Mapped[str] = mapped_column(String(12))
    created_by: Mapped[str] = mapped_column(String(254))
    size: Mapped[int]
    delimiter: Mapped[str] = mapped_column(String(1))
    columns: Mapped[list[str]] = mapped_column(JsonB)
    recipient_column: Mapped[int]
    to_groups: Mapped[bool]
    channel: Mapped[str] = mapped_column(String(16))
    template: Mapped[str] = mapped_column(String(64))
    template_version_id: Mapped[int] = mapped_column(ForeignKey("template_versions.id"))
    subject: Mapped[str | None] = mapped_column(String(500), default=None)
    position: Mapped[int]
    next_row: Mapped[int]
    good_rows: Mapped[int] = mapped_column(default=0)
    faulty_rows: Mapped[int] = mapped_column(default=0)
    taken_rows: Mapped[int] = mapped_column(default=0)
    cursor: Mapped[int] = mapped_column(BigIntIdentity, default=0)
    due_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    note: Mapped[str | None] = mapped_column(Text, default=None)
    changed_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    asked_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    asked_by: Mapped[str | None] = mapped_column(String(254), default=None)
    claimed_by: Mapped[str | None] = mapped_column(String(64), default=None)


class SpreadsheetFault(IdentityBase):
    """Why a row is not sent; ``column_name`` is empty where it is the row as a whole."""

    __tablename__ = "spreadsheet_faults"
    __table_args__ = (Index("ix_spreadsheet_faults_row", "job_id", "row_number", "id"),)

    job_id: Mapped[int] = mapped_column(ForeignKey("jobs.id"))
    row_number: Mapped[int]
    column_name: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(Text)


class UploadPiece(IdentityBase):
    """A part of an uploaded file, which every process can read; ``number`` counts from 0, ``upload_uid`` is the file's.

    All parts but the last are of one length.
    """

    __tablename__ = "upload_pieces"
    __table_args__ = (UniqueConstraint("upload_uid", "number"),)

    upload_uid: Mapped[UUID] = mapped_column(GUID())
    number: Mapped[int]
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
