"""Counting what each service was accepted a day, and holding it to its limit."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import Table, bindparam, func, select
from sqlalchemy.orm import Session

from backend.db import statements
from backend.db.models.accounts import Service
from backend.db.models.notifications import Usage
from backend.lib import clock
from backend.lib.problems import Problem

# Made once: building a statement costs more than running it.
_services = cast("Table", Service.__table__)
_usage = cast("Table", Usage.__table__)
_LOCK = (
    select(_services.c.id)
    .where(_services.c.id.in_(bindparam("services", expanding=True)))
    .order_by(_services.c.id)
    .with_for_update(key_share=True)
)
_USED = (
    select(_usage.c.service_id, func.sum(_usage.c.count))
    .where(_usage.c.service_id.in_(bindparam("services", expanding=True)), _usage.c.day == bindparam("today"))
    .group_by(_usage.c.service_id)
)


@lru_cache
def _add(dialect: str) -> Any:
    statement = statements.for_dialect(dialect, _usage)
    return statement.on_conflict_do_update(
        index_elements=["service_id", "day", "channel"], set_={"count": _usage.c.count + statement.excluded.count}
    )


class Meter:
    """What one transaction adds to the usage of its services, checked against what is there.

    ``moment`` is when everything in the transaction is accepted, so that its rows are of the day that is counted.
    The services' rows are locked first (on PostgreSQL; SQLite has one writer anyway), so that the limit is exact
    however many processes accept at once.
    """

    def __init__(self, session: Session, limits: Mapping[int, int]) -> None:
        self._connection = session.connection()
        self._limits = limits
        self.moment = clock.now()
        self._day = self.moment.date()
        self._added: Counter[tuple[int, str]] = Counter()
        if self._connection.dialect.name != "sqlite":
            self._connection.execute(_LOCK, {"services": list(limits)})
        used = self._connection.execute(_USED, {"services": list(limits), "today": self._day})
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
        if rows:
            self._connection.execute(_add(self._connection.dialect.name), rows)


def _refusal(limit: int, used: int, wanted: int) -> Problem:
    now = clock.now()
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    detail = f"The service may send {limit} messages a day and has sent {used} today; this would be {wanted} more."
    seconds = max(1, int((midnight - now).total_seconds()))
    return Problem("daily_limit_reached", detail, headers={"Retry-After": str(seconds)})
