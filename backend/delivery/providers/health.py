"""How providers have done lately: counted in memory, written down every few seconds, read by all processes.

The last attempts of this process open a provider's circuit; the minutes of all processes together make its weight.
"""

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import cast

import msgspec
from sqlalchemy import Table, delete, func, select
from sqlalchemy.orm import Session

from backend.db import database as db
from backend.db import statements
from backend.db.models.providers import ProviderMinute
from backend.lib import clock
from backend.lib.ttl_cache import TtlCache

WINDOW = timedelta(minutes=5)
_WRITTEN_EVERY = timedelta(seconds=5)
_READ_EVERY = 2.0
_KEPT = timedelta(hours=2)
# A circuit opens after so many faults in a row, or when half of the last attempts failed.
_IN_A_ROW = 5
_LAST = 20

_minutes = cast("Table", ProviderMinute.__table__)


class Health(msgspec.Struct, frozen=True):
    """Attempts within a span of time: those that came to an end, the messages taken, and the provider's own faults."""

    answered: int = 0
    accepted: int = 0
    faults: int = 0

    @property
    def share(self) -> float:
        """The part of the attempts that were not the provider's fault, from 0 to 1; few attempts say little."""
        return 1.0 if self.answered < _IN_A_ROW else 1 - self.faults / self.answered


class Tally:
    """This process's count, for all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = defaultdict(Counter)
        self._last: dict[str, deque[bool]] = defaultdict(lambda: deque(maxlen=_LAST))
        self._written: datetime | None = None

    def note(self, provider: str, *, accepted: bool, fault: bool, count: int = 1) -> bool:
        """Count attempts of one kind; tell whether the provider fails so often that it is to be left alone."""
        with self._lock:
            counts, last = self._counts[provider], self._last[provider]
            counts["answered"] += count
            counts["accepted"] += count * accepted
            counts["faults"] += count * fault
            last.extend([fault] * count)
            if not fault:
                return False
            failing = all(list(last)[-_IN_A_ROW:]) if len(last) >= _IN_A_ROW else False
            failing = failing or sum(last) * 2 >= _LAST
            if failing:
                last.clear()
            return failing

    def is_due(self) -> bool:
        """Tell whether there is something to write down, and the last time was long enough ago."""
        now = clock.now()
        recently = self._written is not None and timedelta() <= now - self._written < _WRITTEN_EVERY
        return bool(self._counts) and not recently

    def write(self, session: Session) -> None:
        """Add what was counted since the last time to the present minute."""
        now = clock.now()
        with self._lock:
            counts, self._counts = self._counts, defaultdict(Counter)
            self._written = now
        for provider, count in sorted(counts.items()):
            row = {name: count[name] for name in ("answered", "accepted", "faults")}
            statement = statements.insert(session, ProviderMinute).values(
                provider=provider, minute=now.replace(second=0, microsecond=0), **row
            )
            added = {name: _minutes.c[name] + value for name, value in row.items()}
            session.execute(statement.on_conflict_do_update(index_elements=["provider", "minute"], set_=added))


def since(session: Session, span: timedelta) -> dict[str, Health]:
    """Sum up the last minutes of each provider, over all processes."""
    summed = (func.sum(_minutes.c.answered), func.sum(_minutes.c.accepted), func.sum(_minutes.c.faults))
    rows = session.execute(
        select(_minutes.c.provider, *summed).where(_minutes.c.minute > clock.now() - span).group_by(_minutes.c.provider)
    )
    return {provider: Health(*(int(figure) for figure in figures)) for provider, *figures in rows}


def _read() -> dict[str, Health]:
    with db.current().autocommit() as session:
        return since(session, WINDOW)


recent = TtlCache(_read, seconds=_READ_EVERY)


def purge(session: Session) -> None:
    """Delete minutes that nobody looks at any more."""
    session.execute(delete(_minutes).where(_minutes.c.minute < clock.now() - _KEPT))


def weights(healths: Iterable[Health]) -> list[float]:
    """Share the traffic between providers in order of preference; the weights sum up to 1.

    A provider in good health takes all that the ones before it left over. One that fails in half of its attempts is
    left a twentieth, from which its recovery is seen.
    """
    left, shares = 1.0, []
    for health in healths:
        part = min(max((health.share - 0.5) / 0.45, 0.05), 1.0)
        shares.append(left * part)
        left -= shares[-1]
    total = sum(shares)
    return [share / total for share in shares] if total else shares
