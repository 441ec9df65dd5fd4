"""The addresses that a service's e-mails come from, and those that answers to them go to."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import GUID
from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, false, text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import Moment
from backend.lib import clock


class SenderKind(StrEnum):
    """What an address is for."""

    FROM = "from"  # e-mails come from it
    REPLY_TO = "reply_to"  # answers to them go to it


_DEFAULT = text("is_default")


class Sender(IdentityBase):
    """An address that e-mails of a service may come from, or that answers may go to, once somebody there has agreed.

    ``uid`` is its public id. The address is in canonical form; ``name`` is the display name before it, empty for none
    and for those of answers. The default is what e-mails have that choose none: at most one of a kind, and the
    service's own ``mail_from`` and ``reply_to`` say the same, for those who send. ``verified_by`` is whoever followed
    the link that was mailed to it, or spoke for it. ``digest`` is the keyed digest of that link while it is good.
    """

    __tablename__ = "senders"
    __table_args__ = (
        UniqueConstraint("service_id", "kind", "address"),
        Index(
            "uq_senders_default", "service_id", "kind", unique=True, sqlite_where=_DEFAULT, postgresql_where=_DEFAULT
        ),
    )

    uid: Mapped[UUID] = mapped_column(GUID(), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    kind: Mapped[str] = mapped_column(String(8))
    address: Mapped[str] = mapped_column(String(254))
    name: Mapped[str] = mapped_column(String(160), default="")
    is_default: Mapped[bool] = mapped_column(default=False, server_default=false())
    added_by: Mapped[str] = mapped_column(String(254))
    created_at: Mapped[datetime] = mapped_column(Moment, default=clock.now)
    verified_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    verified_by: Mapped[str | None] = mapped_column(String(254), default=None)
    digest: Mapped[str | None] = mapped_column(String(64), unique=True, default=None)
    expires_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
