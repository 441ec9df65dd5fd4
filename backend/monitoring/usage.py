"""What services have used: of their daily limits, and of each channel day by day."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import msgspec
from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import Session

from backend.db import database as db
from backend.db.database import Database
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Notification, NotificationStatus, Usage
from backend.lib import clock
from backend.lib.ttl_cache import TtlCache

DAYS = 7
_DAY = timedelta(days=1)
# Of days that are over little changes: late receipts, and what people send again.
_PAST_SECONDS = 60.0


def today(session: Session, service_ids: Collection[int]) -> Mapping[int, int]:
    """Count the messages that each service was accepted today (UTC); those without any are left out."""
    counted = (
        select(Usage.service_id, func.sum(Usage.count))
        .where(Usage.service_id.in_(service_ids), Usage.day == clock.today())
        .group_by(Usage.service_id)
    )
    return {service_id: int(count) for service_id, count in session.execute(counted)}


class DayOfChannels(msgspec.Struct, frozen=True):
    """How many messages a service was accepted on a day (UTC), by channel; absent channels are zero."""

    day: date
    channels: Mapping[str, int]


def by_day(session: Session, service_id: int, days: int) -> list[DayOfChannels]:
    """Return a service's last days, the oldest first and today last; ``days`` is how many."""
    today = clock.today()
    first = today - timedelta(days=days - 1)
    counted = select(Usage.day, Usage.channel, Usage.count).where(Usage.service_id == service_id, Usage.day >= first)
    found: dict[date, dict[str, int]] = {}
    for day, channel, count in session.execute(counted):
        found.setdefault(day, {})[channel] = count
    every = [first + timedelta(days=number) for number in range(days)]
    return [DayOfChannels(day, found.get(day, {})) for day in every]


# A service's last seven days: notifications by status, messages by channel, counted along indexes alone.


class Day(msgspec.Struct, frozen=True):
    """One day (UTC): how many notifications of it have each status now, and messages accepted by channel.

    Absent keys are zero. A message is counted once for each address, or once for each membership in a batch.
    """

    day: date
    statuses: Mapping[str, int]
    channels: Mapping[str, int]


_COUNT = (
    select(Notification.status, func.count())
    .where(
        Notification.service_id == bindparam("service_id"),
        Notification.status.in_([status.value for status in NotificationStatus]),
        Notification.mode != Mode.TEST.value,
        Notification.created_at >= bindparam("begin"),
        Notification.created_at < bindparam("end"),
    )
    .group_by(Notification.status)
)


def of_service(session: Session, service_id: int) -> list[Day]:
    """Return the last seven days, oldest first, today last; what is over is up to a minute old."""
    today = clock.today()
    days = [today - _DAY * back for back in reversed(range(DAYS))]
    past = _past(db.current(), service_id, today).get()
    messages = _messages(session, service_id, days)
    return [
        Day(day, past[day] if day in past else _statuses(session, service_id, day), messages.get(day, {}))
        for day in days
    ]


@lru_cache(maxsize=1024)
def _past(database: Database, service_id: int, today: date) -> TtlCache[dict[date, dict[str, int]]]:
    """Keep the days of a service before today."""

    def find() -> dict[date, dict[str, int]]:
        with database.read() as session:
            over = [today - _DAY * back for back in range(1, DAYS)]
            return {day: _statuses(session, service_id, day) for day in over}

    return TtlCache(find, seconds=_PAST_SECONDS)


def _statuses(session: Session, service_id: int, day: date) -> dict[str, int]:
    begin = datetime.combine(day, time(), UTC)
    wanted = {"service_id": service_id, "begin": begin, "end": begin + _DAY}
    return dict(session.execute(_COUNT, wanted).all())


def _messages(session: Session, service_id: int, days: Sequence[date]) -> dict[date, dict[str, int]]:
    found: dict[date, dict[str, int]] = {}
    own = (Usage.service_id == service_id, Usage.day.in_(days))
    for day, channel, count in session.execute(select(Usage.day, Usage.channel, Usage.count).where(*own)):
        found.setdefault(day, {})[channel] = count
    return found
