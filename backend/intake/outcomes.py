"""What came of a submission."""

from datetime import datetime

import msgspec

from backend.db.models.accounts import Mode
from backend.db.models.notifications import NotificationStatus
from backend.lib.problems import FieldError, Problem


class Accepted(msgspec.Struct, frozen=True):
    """A stored notification; ``duplicate`` tells that it was there before, ``warnings`` what of it is of no use.

    ``send_at`` is the moment that it asks for, ``mode`` whom it reaches.
    """

    notification_id: str
    status: str
    duplicate: bool
    warnings: tuple[FieldError, ...] = ()
    send_at: datetime | None = None
    mode: Mode = Mode.LIVE


class Refused(msgspec.Struct, frozen=True):
    """Why nothing will be sent; the id is there whenever a notification can be read back by it.

    ``status`` is that notification's: not FAILED where it was accepted before and only this repeat is refused.
    """

    problem: Problem
    notification_id: str | None
    status: str = NotificationStatus.FAILED.value


IntakeResult = Accepted | Refused
