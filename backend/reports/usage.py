"""What services have used: of their daily limits, and of each channel day by day."""

from collections.abc import Collection, Mapping
from datetime import date, timedelta

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.db.models.notifications import Usage
from backend.lib import clock


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
