"""Files that go with notifications: each once a service, however many notifications name it."""

from advanced_alchemy.base import DefaultBase, IdentityBase
from advanced_alchemy.types import BigIntIdentity
from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column


class StoredFile(IdentityBase):
    """A service's file, known by the SHA-256 of its octets, in hexadecimal."""

    __tablename__ = "stored_files"
    __table_args__ = (UniqueConstraint("service_id", "sha256"),)

    service_id: Mapped[int] = mapped_column(ForeignKey("services.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    content: Mapped[bytes] = mapped_column(LargeBinary)


class FileUse(DefaultBase):
    """That a notification has a file; a file that none has is deleted."""

    __tablename__ = "file_uses"

    notification_id: Mapped[int] = mapped_column(BigIntIdentity, ForeignKey("notifications.id"), primary_key=True)
    file_id: Mapped[int] = mapped_column(BigIntIdentity, ForeignKey("stored_files.id"), primary_key=True, index=True)
