"""The one source of time, so that tests move time instead of waiting for it."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime


def _system() -> datetime:
    return datetime.now(UTC)


# Linux counts the time in which the machine was suspended here, and not in its monotonic clock (clock_gettime(2)).
_SINCE_START = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _since_start() -> float:
    return time.clock_gettime(_SINCE_START)


_source: Callable[[], datetime] = _system
_counter: Callable[[], float] = _since_start


def now() -> datetime:
    """Return the present moment, aware and in UTC."""
    return _source()


def today() -> date:
    """Return the present day in UTC, by which usage is counted."""
    return now().date()


def timestamp() -> float:
    """Return the seconds since the Unix epoch, as OAuth 2.0 and webhooks count them."""
    return time.time() if _source is _system else now().timestamp()  # asked several times for each request


def use(source: Callable[[], datetime] | None) -> None:
    """Take the time from ``source``; ``None`` returns to the system's clock."""
    global _source  # noqa: PLW0603 - one clock for the process is the point of this module
    _source = source or _system


def elapsed() -> float:
    """Return seconds that nobody can set or put back, suspended ones included: only their differences mean anything."""
    return _counter()


def use_counter(counter: Callable[[], float] | None) -> None:
    """Count the seconds of ``elapsed`` with ``counter``; ``None`` returns to the system's."""
    global _counter  # noqa: PLW0603 - one clock for the process is the point of this module
    _counter = counter or _since_start


def iso(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds, such as ``2026-11-21T20:36:00.000000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
