"""Windows: when something may be sent, by the clock on the wall of a time zone.

A window is open whenever that clock shows a time between two of its own on one of its days. So an hour that the clock
passes twice counts twice, one that it leaps over does not come, and a window that lies wholly in such an hour stays
shut on that day.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from backend.lib import holidays, timetable

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TIME_PATTERN = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
END_PATTERN = r"^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
# What does not open within so long is taken never to open.
HORIZON = timedelta(days=400)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class Hours(msgspec.Struct, frozen=True):
    """From one time of a day to another; where ``until`` is not later, it is that of the following day.

    ``days`` are those on which it begins, ``mon`` to ``sun``; times are ``08:00``, and the end of a day is ``24:00``.
    """

    days: tuple[str, ...]
    start: str
    until: str


class Window(msgspec.Struct, frozen=True):
    """When something may be sent: during any of ``hours``, but not on those that begin on one of its ``holidays``.

    ``except_high`` says that what is HIGH is sent at any time.
    """

    hours: tuple[Hours, ...]
    zone: str
    holidays: tuple[str, ...] = ()
    except_high: bool = False

    def is_open(self, moment: datetime) -> bool:
        """Tell whether something may be sent at a moment."""
        return _read(self).is_open(moment)

    def next_open(self, moment: datetime) -> datetime | None:
        """Return the first moment from this one on at which something may be sent, in UTC; None if there is none."""
        return _read(self).next_open(moment)

    def stored(self) -> dict[str, Any]:
        """Return it as JSON that ``msgspec.convert`` reads."""
        stored: dict[str, Any] = msgspec.to_builtins(self)
        return stored

    def in_words(self) -> str:
        """Say when it is open, as ``Mon, Tue 08:00–18:00 (Europe/London)``."""
        return f"{'; '.join(_words(one) for one in self.hours)} ({self.zone})"


def next_in_all(windows: Sequence[Window], moment: datetime) -> datetime | None:
    """Return the first moment from this one on at which all windows are open, in UTC; None if there is none."""
    last, now = moment + HORIZON, moment.astimezone(UTC)
    while now <= last:
        before = now
        for window in windows:
            opens = window.next_open(now)
            if opens is None:
                return None
            now = opens
        if now == before:
            return now
    return None


def minutes(text: str) -> int:
    """Return a time of day as minutes since its beginning."""
    hour, minute = text.split(":")
    return int(hour) * 60 + int(minute)


def _words(hours: Hours) -> str:
    names = ", ".join(day.title() for day in hours.days)
    for name, group in (("daily", DAYS), ("weekdays", DAYS[:5]), ("weekends", DAYS[5:])):
        if hours.days == group:
            names = name
    return f"{names} {hours.start}–{hours.until}"


class _Span(msgspec.Struct, frozen=True):
    """Hours in numbers: days from Monday, 0, and minutes of a day."""

    days: frozenset[int]
    start: int
    until: int

    @property
    def overnight(self) -> bool:
        return self.until <= self.start


class _Reading:
    """A window as it is computed with."""

    def __init__(self, window: Window) -> None:
        self._zone = ZoneInfo(window.zone)
        self._holidays = frozenset(window.holidays)
        self._spans = [
            _Span(frozenset(DAYS.index(day) for day in one.days), minutes(one.start), minutes(one.until))
            for one in window.hours
        ]

    def is_open(self, moment: datetime) -> bool:
        local = moment.astimezone(self._zone)
        today, minute = local.date(), local.hour * 60 + local.minute
        for span in self._spans:
            if span.overnight:
                begun = minute >= span.start and self._begins(span, today)
                if begun or (minute < span.until and self._begins(span, today - _DAY)):
                    return True
            elif span.start <= minute < span.until and self._begins(span, today):
                return True
        return False

    def next_open(self, moment: datetime) -> datetime | None:
        moment = moment.astimezone(UTC)
        if self.is_open(moment):
            return moment
        first = moment.astimezone(self._zone).date()
        for number in range(-1, HORIZON.days + 1):
            day = first + number * _DAY
            later = [one for one in self._turns(day) if one > moment and self.is_open(one)]
            if later:
                return min(later)
        return None

    def _begins(self, span: _Span, day: date) -> bool:
        return day.weekday() in span.days and not holidays.is_one(day, self._holidays)

    def _turns(self, day: date) -> Iterator[datetime]:
        """Yield the moments of a day at which the window can open."""
        spans = [one for one in self._spans if self._begins(one, day) or self._begins(one, day - _DAY)]
        if not spans:
            return
        for minute in {0, *(span.start for span in spans)}:
            wall = datetime.combine(day, time(minute // 60, minute % 60), self._zone)
            yield wall.astimezone(UTC)
            yield wall.replace(fold=1).astimezone(UTC)
        begin, end = (datetime.combine(one, time(), self._zone).astimezone(UTC) for one in (day, day + _DAY))
        if self._offset(begin) != self._offset(end):
            yield self._change(begin, end)

    def _offset(self, moment: datetime) -> timedelta | None:
        return moment.astimezone(self._zone).utcoffset()

    def _change(self, begin: datetime, end: datetime) -> datetime:
        """Return the moment between these two at which clocks are changed."""
        before = self._offset(begin)
        while end - begin > _SECOND:
            middle = begin + timedelta(seconds=(end - begin) // _SECOND // 2)
            begin, end = (middle, end) if self._offset(middle) == before else (begin, middle)
        return end


@lru_cache(maxsize=1024)
def _read(window: Window) -> _Reading:
    return _Reading(window)


def check_zone(name: str) -> str:
    """Return the name of a time zone.

    Raises:
        ValueError: with a sentence, when there is none of that name.
    """
    if not re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", name):
        raise ValueError("Must be a time zone such as Europe/London or UTC.")
    timetable.read_zone(name)
    return name
