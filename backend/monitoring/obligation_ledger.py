"""The ledger of obligations: of each service and day, those opened are found again in one state each, or are lost.

The one side is counted when they are opened; the other is counted from their rows.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import count
from typing import Any

import msgspec
from sqlalchemy import Select, String, case, cast, func, literal, null, select, union_all
from sqlalchemy.orm import Session

from backend.db.models.obligations import Obligation, ObligationDay, ObligationState
from backend.monitoring import ledger


class ObligationEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One service's day (UTC), in obligations by when they were opened."""

    service_id: int
    day: date
    opened: int
    met: int
    worklist: int
    closed: int
    open: int

    @property
    def imbalance(self) -> int:
        """Return how many obligations are in no state, or, below zero, in one without having been opened."""
        return self.opened - (self.met + self.worklist + self.closed + self.open)

    def describe(self) -> str:
        """Write the entry in one line of figures."""
        sign = "=" if not self.imbalance else "≠"
        figures = f"{self.met} met + {self.worklist} on the worklist + {self.closed} closed + {self.open} open"
        return f"service {self.service_id} on {self.day}: {self.opened} obligations opened {sign} {figures}"


def balance(session: Session, days: int = ledger.DAYS) -> list[ObligationEntry]:
    """Draw up the last ``days`` days, by service and day; one without obligations has no entry."""
    window = ledger.days_kept(days)
    if not window:
        return []
    opened: dict[tuple[int, date], int] = {}
    found: dict[tuple[int, date], Counter[str]] = defaultdict(Counter)
    # One statement, so that all of it is as of one moment.
    for service, day_index, state, number in session.execute(union_all(_opened(window), *map(_rows, window, count()))):
        if state is None:
            opened[service, window[day_index]] = number
        else:
            found[service, window[day_index]][state] += number
    return [_entry(one, opened.get(one, 0), found[one]) for one in sorted({*opened, *found})]


def _opened(window: Sequence[date]) -> Select[Any]:
    day_index = case({day: number for number, day in enumerate(window)}, value=ObligationDay.day)
    return select(ObligationDay.service_id, day_index, cast(null(), String), ObligationDay.opened).where(
        ObligationDay.day.in_(window)
    )


def _rows(day: date, number: int) -> Any:
    begin, end = ledger.midnight(day), ledger.midnight(day + ledger.ONE_DAY)
    inside = (Obligation.opened_at >= begin, Obligation.opened_at < end)
    return (
        select(Obligation.service_id, literal(number), Obligation.state, func.count())
        .where(*inside)
        .group_by(Obligation.service_id, Obligation.state)
    )


def _entry(day_index: tuple[int, date], opened: int, found: Counter[str]) -> ObligationEntry:
    return ObligationEntry(
        service_id=day_index[0],
        day=day_index[1],
        opened=opened,
        met=found[ObligationState.MET],
        worklist=found[ObligationState.WORKLIST],
        closed=found[ObligationState.CLOSED],
        open=found[ObligationState.OPEN],
    )
