"""The one source of time, so that tests move time instead of waiting for it."""

import time
from collections.abc import Callable
from datetime import UTC, date, datetime


def _system() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _system


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


def iso(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds, such as ``2026-11-21T20:36:00.000000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
