"""How old the last backup is, and whether that is too old."""

from datetime import datetime, timedelta

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.installation import Installation
from backend.lib import clock, settings


class LastBackup(msgspec.Struct, frozen=True):
    """When the last good backup was begun, if ever, and how old it was when this was read."""

    made_at: datetime | None
    age: timedelta | None
    overdue: bool


def read(session: Session) -> LastBackup:
    """Read it; outside production one may do without any, and ``CARILLON_BACKUP_DAYS`` of 0 asks for none."""
    configuration = settings.current()
    made_at = session.scalar(select(Installation.backed_up_at).limit(1))
    age = None if made_at is None else max(clock.now() - made_at, timedelta())
    if not configuration.backup_days:
        overdue = False
    elif age is None:
        overdue = configuration.env == "production"
    else:
        overdue = age > timedelta(days=configuration.backup_days)
    return LastBackup(made_at, age, overdue)
