"""What the database knows of itself, and what is held back in one that was restored."""

from datetime import UTC, datetime
from enum import StrEnum

from advanced_alchemy.base import IdentityBase
from advanced_alchemy.types import BigIntIdentity
from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from backend.db.types import JsonB, Moment

# When what is held back is due: never, as far as any claim can see.
NEVER = datetime(9000, 1, 1, tzinfo=UTC)
# What a batch was: held back by its own people, which it is again when it is let go.
KEPT = "KEPT"


class Installation(IdentityBase):
    """The one row about the database itself.

    ``oldest_code`` is the migration of the oldest release that may work on it. ``epoch`` names the life of this
    database, which a restored copy ends; ``earlier`` are the epochs before it, the newest last. ``counter`` only ever
    grows, and ``marks`` say where the database physically is. ``held_at`` is set while something is held back.
    ``backed_up_at`` is when the last backup was begun that came to its end.
    """

    __tablename__ = "installation"

    oldest_code: Mapped[str] = mapped_column(String(32))
    epoch: Mapped[str | None] = mapped_column(String(32), default=None)
    earlier: Mapped[list[str] | None] = mapped_column(JsonB, default=None)
    counter: Mapped[int] = mapped_column(BigIntIdentity, default=0)
    marks: Mapped[dict[str, str] | None] = mapped_column(JsonB, default=None)
    counted_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    held_at: Mapped[datetime | None] = mapped_column(Moment, default=None)
    held_why: Mapped[str | None] = mapped_column(Text, default=None)
    backed_up_at: Mapped[datetime | None] = mapped_column(Moment, default=None)


class HeldKind(StrEnum):
    """What is held back."""

    DELIVERY = "delivery"
    BATCH = "batch"
    CALLBACK = "callback"
    SPREADSHEET = "spreadsheet"


class HeldRow(IdentityBase):
    """A row that goes on only when somebody has decided about it.

    It is due at ``NEVER`` meanwhile, so that whoever looks for what is due need not know of this; ``due_at`` is when it
    was due before. A batch is closed and held back; ``was`` is what it was before.
    """

    __tablename__ = "held_rows"
    __table_args__ = (UniqueConstraint("kind", "row_id", name="uq_held_rows_kind"),)

    kind: Mapped[str] = mapped_column(String(12))
    row_id: Mapped[int] = mapped_column(BigIntIdentity)
    due_at: Mapped[datetime] = mapped_column(Moment)
    was: Mapped[str | None] = mapped_column(String(12), default=None)
