"""Mailboxes to which bounces come, and how far they were read."""

from datetime import datetime

from advanced_alchemy.base import IdentityBase
from sqlalchemy import BigInteger, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import Moment


class BounceMailbox(IdentityBase):
    """A folder of a mailbox: ``last_uid`` is the last message that was read, as long as ``uid_validity`` stays.

    Both are IMAP's (RFC 9051, section 2.3.1.1). ``claimed_by`` is the token of the process that reads it now,
    ``read_at`` when it was last read to its end, and ``trouble`` why that did not go well the last time.
    """

    __tablename__ = "bounce_mailboxes"

    mailbox: Mapped[str] = mapped_column(String(32), unique=True)
    uid_validity: Mapped[int] = mapped_column(BigInteger, default=0)
    last_uid: Mapped[int] = mapped_column(BigInteger, default=0)
    claimed_by: Mapped[str | None] = mapped_column(String(64), default=None)
    read_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    trouble: Mapped[str | None] = mapped_column(Text, default=None)
