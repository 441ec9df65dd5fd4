"""Posts of chats that are to show something else than what was sent."""

from datetime import datetime
from typing import Any
from uuid import UUID

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import GUID
from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import JsonB, Moment
from backend.lib import clock


class PostEdit(IdentityBase):
    """What a post is to show, until its provider has taken that or it was tried often enough.

    ``post`` is the provider's identifier, ``text`` and ``blocks`` are the whole post as the provider takes it. Where it
    begins a ``conversation``, ``shows`` is the delivery whose message it shows: once a later one is shown, that stays.
    """

    __tablename__ = "post_edits"

    provider: Mapped[str] = mapped_column(String(64))
    post: Mapped[str] = mapped_column(String(255))
    text: Mapped[str] = mapped_column(Text)
    blocks: Mapped[list[dict[str, Any]]] = mapped_column(JsonB)
    conversation: Mapped[UUID | None] = mapped_column(GUID(), default=None)
    shows: Mapped[UUID | None] = mapped_column(GUID(), default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime] = mapped_column(Moment, default=clock.now, index=True)
