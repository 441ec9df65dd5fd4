"""Files that go with notifications: each once a service, however many notifications name it or link to it."""

from datetime import datetime

from advanced_alchemy.base import DefaultBase, IdentityBase
from advanced_alchemy.types import BigIntIdentity
from sqlalchemy import ForeignKey, Integer, LargeBinary, SmallInteger, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import JsonB, Moment


class StoredFile(IdentityBase):
    """A service's file, known by the SHA-256 of its octets, in hexadecimal."""

    __tablename__ = "stored_files"
    __table_args__ = (UniqueConstraint("service_id", "sha256"),)

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    content: Mapped[bytes] = mapped_column(LargeBinary)


class FileUse(DefaultBase):
    """That a notification's messages carry a file; one that none has, and no link leads to, is deleted."""

    __tablename__ = "file_uses"

    notification_id: Mapped[int] = mapped_column(BigIntIdentity, ForeignKey("notifications.id"), primary_key=True)
    file_id: Mapped[int] = mapped_column(BigIntIdentity, ForeignKey("stored_files.id"), primary_key=True, index=True)


class FileLink(IdentityBase):
    """A file that goes as a link: ``token`` is the secret part of its address.

    ``notification_id`` and ``channel_index`` tell whose it is. A link that outlives its notification has no such, and
    ``recipients`` are then the digests of the addresses that the message went to. ``file_id`` is null when the link has
    expired or was withdrawn: then nothing is kept of the file but what it was called.
    """

    __tablename__ = "file_links"

    token: Mapped[str] = mapped_column(String(64), unique=True)
    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    notification_id: Mapped[int | None] = mapped_column(
        BigIntIdentity, ForeignKey("notifications.id", ondelete="SET NULL"), index=True, default=None
    )
    channel_index: Mapped[int] = mapped_column(SmallInteger)
    file_id: Mapped[int | None] = mapped_column(
        BigIntIdentity, ForeignKey("stored_files.id", ondelete="SET NULL"), index=True, default=None
    )
    name: Mapped[str] = mapped_column(String(255))
    type: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64))
    confirm_address: Mapped[bool]
    created_at: Mapped[datetime] = mapped_column(Moment)
    expires_at: Mapped[datetime] = mapped_column(Moment, index=True)
    withdrawn_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    recipients: Mapped[list[str] | None] = mapped_column(JsonB, default=None)


class FileDownload(IdentityBase):
    """That somebody fetched a file: who had named ``address``, null where the link asks for none."""

    __tablename__ = "file_downloads"

    link_id: Mapped[int] = mapped_column(BigIntIdentity, ForeignKey("file_links.id"), index=True)
    address: Mapped[str | None] = mapped_column(String(320), default=None)
    at: Mapped[datetime] = mapped_column(Moment)
