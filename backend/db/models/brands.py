"""What messages look like: the brands of organisations and services, and their logos."""

from datetime import datetime
from typing import Any

from advanced_alchemy.base import DefaultBase, IdentityBase
from sqlalchemy import CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import JsonB, Moment
from backend.lib import clock


class Brand(IdentityBase):
    """What an organisation or a service has of its own; a part that is null is taken from the next: see ``branding``.

    ``logo`` is an object that names the picture by its ``digest``, empty where there is to be none.
    """

    __tablename__ = "brands"
    __table_args__ = (CheckConstraint("(organisation_id IS NULL) <> (service_id IS NULL)", name="one_owner"),)

    organisation_id: Mapped[int | None] = mapped_column(ForeignKey("organisations.id"), unique=True, default=None)
    service_id: Mapped[int | None] = mapped_column(ForeignKey("services.id"), unique=True, default=None)
    logo: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    colours: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    footer: Mapped[dict[str, Any] | None] = mapped_column(JsonB, default=None)
    sender_name: Mapped[str | None] = mapped_column(String(160), default=None)
    updated_at: Mapped[datetime] = mapped_column(Moment, default=clock.now, onupdate=clock.now)


class BrandLogo(DefaultBase):
    """A picture, known by the first 32 hexadecimal digits of its SHA-256.

    ``unused_since`` is when the last brand let go of it; messages that were made before still show it for a while.
    """

    __tablename__ = "brand_logos"

    digest: Mapped[str] = mapped_column(String(32), primary_key=True)
    type: Mapped[str] = mapped_column(String(16))
    content: Mapped[bytes] = mapped_column(LargeBinary)
    unused_since: Mapped[datetime | None] = mapped_column(Moment, default=None)
