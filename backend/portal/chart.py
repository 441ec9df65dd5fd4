"""Bars by day: how high each piece is, and where each number leads."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Protocol, TypeVar

import msgspec

# From the ground up: what has arrived, what has not, what is on its way.
STATUSES = ("DELIVERED", "SENT", "PARTIAL", "FAILED", "BUFFERED", "SCHEDULED", "DISPATCHED", "CANCELLED")
_HEIGHT = 100.0
# A piece that is there is seen, however small.
_LEAST = 1.5


class Dated(Protocol):
    """What is counted of one day."""

    @property
    def day(self) -> date:
        """Return the day (UTC)."""


OfDay = TypeVar("OfDay", bound=Dated)
Lead = Callable[[str, date, date], str]


class Cell(msgspec.Struct, frozen=True):
    """One number and the address of the list that makes it; ``y`` and ``height`` are in percent of the chart."""

    series: str
    count: int
    address: str
    y: float
    height: float


class Column(msgspec.Struct, frozen=True):
    """One day."""

    day: date
    cells: list[Cell]
    total: int
    address: str


class Chart(msgspec.Struct, frozen=True):
    """The days with the same series in each; ``totals`` sums them up, by series, with its address."""

    columns: list[Column]
    totals: list[Cell]
    total: int


def draw(
    days: Sequence[OfDay], series: Sequence[str], counts: Callable[[OfDay], Mapping[str, int]], lead: Lead
) -> Chart:
    """Draw days as stacked bars; ``lead`` gives the address of a series between two days, the last included.

    The empty series is all of them together.
    """
    first, last = days[0].day, days[-1].day
    highest = max(sum(counts(day).values()) for day in days) or 1
    columns = [_column(day.day, series, counts(day), highest, lead) for day in days]
    totals = [
        Cell(name, sum(counts(day).get(name, 0) for day in days), lead(name, first, last), 0, 0) for name in series
    ]
    return Chart(columns, totals, sum(cell.count for cell in totals))


def _column(day: date, series: Sequence[str], counts: Mapping[str, int], highest: int, lead: Lead) -> Column:
    cells, ground = [], _HEIGHT
    for name in series:
        count = counts.get(name, 0)
        height = max(_LEAST, count * _HEIGHT / highest) if count else 0.0
        ground -= height
        cells.append(Cell(name, count, lead(name, day, day), round(max(0.0, ground), 2), round(height, 2)))
    return Column(day, cells, sum(counts.values()), lead("", day, day))
