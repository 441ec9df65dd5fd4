"""Counting what each service was accepted a day, and holding it to its limit."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, time, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Service
from backend.db.models.notifications import Usage
from backend.db.statements import insert
from backend.lib import clock
from backend.lib.problems import Problem


class Meter:
    """What one transaction adds to the usage of its services, checked against what is there.

    The services' rows are locked first (on PostgreSQL; SQLite has one writer anyway), so that the limit is exact
    however many processes accept at once.
    """

    def __init__(self, session: Session, limits: Mapping[int, int]) -> None:
        self._session = session
        self._limits = limits
        self._day = clock.today()
        self._added: Counter[tuple[int, str]] = Counter()
        services = sorted(limits)
        session.execute(
            select(Service.id).where(Service.id.in_(services)).order_by(Service.id).with_for_update(key_share=True)
        )
        total = (
            select(Usage.service_id, func.sum(Usage.count))
            .where(Usage.service_id.in_(services), Usage.day == self._day)
            .group_by(Usage.service_id)
        )
        self._used: Counter[int] = Counter({service: int(count) for service, count in session.execute(total)})

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
            statement = insert(self._session, Usage)
            self._session.execute(
                statement.on_conflict_do_update(
                    index_elements=["service_id", "day", "channel"],
                    set_={"count": Usage.count + statement.excluded.count},
                ),
                rows,
            )


def _refusal(limit: int, used: int, wanted: int) -> Problem:
    now = clock.now()
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    detail = f"The service may send {limit} messages a day and has sent {used} today; this would be {wanted} more."
    seconds = max(1, int((midnight - now).total_seconds()))
    return Problem("daily_limit_reached", detail, headers={"Retry-After": str(seconds)})
