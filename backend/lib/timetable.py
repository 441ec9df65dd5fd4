"""Fixed times of a week as people write them: ``weekdays 08:00 Europe/London``, ``mon,thu 07:30,16:00 Asia/Tokyo``.

A time that clocks pass twice, as they are put back, is meant the first time; one that they leap over, as they are put
forward, comes as much later as they leap (so PEP 495 reads both).
"""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

PATTERN = r"^[a-z]+(,[a-z]+)* [0-9]{2}:[0-9]{2}(,[0-9]{2}:[0-9]{2})* [A-Za-z0-9_+/-]+$"
LONGEST = timedelta(days=8)
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_GROUPS = {"daily": _DAYS, "weekdays": _DAYS[:5], "weekends": _DAYS[5:]}
_MOST_TIMES = 24
_DAY = timedelta(days=1)
_FORM = "Must be days, times and a zone, such as weekdays 08:00 Europe/London or mon,thu 07:30,16:00 UTC."


class Timetable(msgspec.Struct, frozen=True):
    """Times of day in a zone, on days of the week counted from Monday, which is 0."""

    days: frozenset[int]
    times: tuple[time, ...]
    zone: ZoneInfo

    def next_after(self, moment: datetime) -> datetime:
        """Return the first of these times after a moment, in UTC; it is at most ``LONGEST`` away."""
        return min(one for one in self._around(moment) if one > moment)

    def _around(self, moment: datetime) -> Iterator[datetime]:
        """Yield those of the week around a moment, and some of the days before and behind it."""
        first = moment.astimezone(self.zone).date() - 2 * _DAY
        for day in (first + number * _DAY for number in range(12)):
            if day.weekday() in self.days:
                yield from (self._at(day, one) for one in self.times)

    def _at(self, day: date, of_day: time) -> datetime:
        return datetime.combine(day, of_day, self.zone).astimezone(UTC)


@lru_cache(maxsize=256)
def read(text: str) -> Timetable:
    """Return what a text says.

    Raises:
        ValueError: with a sentence, when it is not written so.
    """
    if len(text) > 200 or not re.fullmatch(PATTERN.strip("^$"), text):
        raise ValueError(_FORM)
    days, times, zone = text.split(" ")
    return Timetable(_read_days(days), _read_times(times), read_zone(zone))


def _read_days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for name in text.split(","):
        group = _GROUPS.get(name, (name,))
        if not set(group) <= set(_DAYS):
            raise ValueError(f"There is no day {name!r}: write daily, weekdays, weekends, or mon, tue and so on.")
        found.update(_DAYS.index(one) for one in group)
    return frozenset(found)


def _read_times(text: str) -> tuple[time, ...]:
    try:
        found = sorted({time.fromisoformat(one) for one in text.split(",")})
    except ValueError:
        raise ValueError("Write times of day from 00:00 to 23:59.") from None
    if len(found) > _MOST_TIMES:
        raise ValueError(f"Give at most {_MOST_TIMES} times of a day.")
    return tuple(found)


def read_zone(name: str) -> ZoneInfo:
    """Return a time zone.

    Raises:
        ValueError: with a sentence, when there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"There is no time zone {name[:60]!r}; write one such as Europe/London or UTC.") from None
