"""Counting what each service was accepted a day, and holding it to its limit."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import cast

from sqlalchemy import Table
from sqlalchemy.orm import Session

from backend.db.driver import Insert, Select
from backend.db.models.notifications import Usage
from backend.lib import clock
from backend.lib.problems import Problem

_LOCK = Select("SELECT id FROM services WHERE id IN ({}) ORDER BY id FOR NO KEY UPDATE")
_USED = Select("SELECT service_id, SUM(count) FROM usage WHERE service_id IN ({}) AND day = ? GROUP BY service_id")
_ADD = Insert(
    cast("Table", Usage.__table__),
    ("service_id", "day", "channel", "count"),
    "ON CONFLICT (service_id, day, channel) DO UPDATE SET count = usage.count + excluded.count",
)


class Meter:
    """What one transaction adds to the usage of its services, checked against what is there.

    ``moment`` is when everything in the transaction is accepted, so that its rows are of the day that is counted.
    The services' rows are locked first (on PostgreSQL; SQLite has one writer anyway), so that the limit is exact
    however many processes accept at once.
    """

    def __init__(self, session: Session, limits: Mapping[int, int]) -> None:
        self._session = session
        self._limits = limits
        self.moment = clock.now()
        self._day = self.moment.date()
        self._added: Counter[tuple[int, str]] = Counter()
        if session.get_bind().dialect.name != "sqlite":
            _LOCK.send(session, limits)
        used = _USED.rows(session, limits, self._day)
        self._used: Counter[int] = Counter({service: int(count) for service, count in used})

    def admit(self, service_id: int, messages: Mapping[str, int]) -> Problem | None:
        """Count messages by channel type if they fit under the day's limit; else say why not."""
        wanted, limit = sum(messages.values()), self._limits[service_id]
        if self._used[service_id] + wanted > limit:
            return _refusal(limit, self._used[service_id], wanted)
        self._used[service_id] += wanted
        for channel, count in messages.items():
            self._added[service_id, channel] += count
        return None

    def store(self) -> None:
        """Write what was admitted."""
        rows = [
            {"service_id": service, "day": self._day, "channel": channel, "count": count}
            for (service, channel), count in sorted(self._added.items())
        ]
        _ADD.send(self._session, rows)


def _refusal(limit: int, used: int, wanted: int) -> Problem:
    now = clock.now()
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    detail = f"The service may send {limit} messages a day and has sent {used} today; this would be {wanted} more."
    seconds = max(1, int((midnight - now).total_seconds()))
    return Problem("daily_limit_reached", detail, headers={"Retry-After": str(seconds)})
