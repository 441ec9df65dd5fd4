"""Letters that are in a spool folder, or about to be: each in one, whichever machine's it is."""

from datetime import datetime
from uuid import UUID

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import GUID
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import Moment
from backend.lib import clock


class SpooledLetter(IdentityBase):
    """A letter in the folder ``spool`` of a ``machine``; ``place`` is where, once it is there whole."""

    __tablename__ = "spooled_letters"

    delivery_uid: Mapped[UUID] = mapped_column(GUID(), unique=True)
    spool: Mapped[str] = mapped_column(String(64))
    machine: Mapped[str] = mapped_column(String(255))
    place: Mapped[str | None] = mapped_column(String(80), default=None)
    pages: Mapped[int | None] = mapped_column(default=None)
    begun_at: Mapped[datetime] = mapped_column(Moment, default=clock.now, index=True)
