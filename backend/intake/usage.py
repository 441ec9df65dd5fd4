"""Counting what each service was accepted a day, and holding it to its limit."""

from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import cast

from sqlalchemy import Table
from sqlalchemy.orm import Session

from backend.db.driver import Insert, Select
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Usage, UsageOfTests
from backend.lib import clock
from backend.lib.problems import Problem

_LOCK = Select("SELECT id FROM services WHERE id IN ({}) ORDER BY id FOR NO KEY UPDATE")
_USED = Select("SELECT service_id, SUM(count) FROM usage WHERE service_id IN ({}) AND day = ? GROUP BY service_id")
_TESTED = Select(
    "SELECT service_id, SUM(count) FROM test_usage WHERE service_id IN ({}) AND day = ? GROUP BY service_id"
)
_COLUMNS = ("service_id", "day", "channel", "count")
_ADD = Insert(
    cast("Table", Usage.__table__),
    _COLUMNS,
    "ON CONFLICT (service_id, day, channel) DO UPDATE SET count = usage.count + excluded.count",
)
_ADD_TESTED = Insert(
    cast("Table", UsageOfTests.__table__),
    _COLUMNS,
    "ON CONFLICT (service_id, day, channel) DO UPDATE SET count = test_usage.count + excluded.count",
)


def add(session: Session, counts: Mapping[tuple[int, date, str], int]) -> None:
    """Count more messages of services, given with the day and the channel type; they are held to no limit."""
    _ADD.send(session, _rows(counts))


def _rows(counts: Mapping[tuple[int, date, str], int]) -> list[dict[str, object]]:
    return [
        {"service_id": service, "day": day, "channel": channel, "count": count}
        for (service, day, channel), count in sorted(counts.items())
    ]


class Meter:
    """What one transaction adds to the usage of its services, checked against what is there.

    ``moment`` is when everything in the transaction is accepted, so that its rows are of the day that is counted.
    The services' rows are locked first (on PostgreSQL; SQLite has one writer anyway), so that the limit is exact
    however many processes accept at once. What is sent in the mode ``test`` counts apart, against the same number.
    """

    def __init__(self, session: Session, limits: Mapping[int, int]) -> None:
        self._session = session
        self._limits = limits
        self.moment = clock.now()
        self._day = self.moment.date()
        self._added: Counter[tuple[int, str]] = Counter()
        self._added_tests: Counter[tuple[int, str]] = Counter()
        self._tested: Counter[int] | None = None
        if session.get_bind().dialect.name != "sqlite":
            _LOCK.send(session, limits)
        used = _USED.rows(session, limits, self._day)
        self._used: Counter[int] = Counter({service: int(count) for service, count in used})

    def admit(self, service_id: int, messages: Mapping[str, int], mode: Mode = Mode.LIVE) -> Problem | None:
        """Count messages by channel type if they fit under the day's limit; else say why not."""
        test = mode is Mode.TEST
        used, added = (self._of_tests(), self._added_tests) if test else (self._used, self._added)
        wanted, limit = sum(messages.values()), self._limits[service_id]
        if used[service_id] + wanted > limit:
            return _refusal(limit, used[service_id], wanted)
        used[service_id] += wanted
        for channel, count in messages.items():
            added[service_id, channel] += count
        return None

    def _of_tests(self) -> Counter[int]:
        """Read what was tested today when it is first asked for."""
        if self._tested is None:
            rows = _TESTED.rows(self._session, self._limits, self._day)
            self._tested = Counter({service: int(count) for service, count in rows})
        return self._tested

    def store(self) -> None:
        """Write what was admitted."""
        add(self._session, self._counted(self._added))
        if self._added_tests:
            _ADD_TESTED.send(self._session, _rows(self._counted(self._added_tests)))

    def _counted(self, added: Counter[tuple[int, str]]) -> dict[tuple[int, date, str], int]:
        return {(service, self._day, channel): count for (service, channel), count in added.items()}


def _refusal(limit: int, used: int, wanted: int) -> Problem:
    now = clock.now()
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    detail = f"The service may send {limit} messages a day and has sent {used} today; this would be {wanted} more."
    seconds = max(1, int((midnight - now).total_seconds()))
    return Problem("daily_limit_reached", detail, headers={"Retry-After": str(seconds)})
