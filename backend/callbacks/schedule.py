"""When a callback is posted again, as the Standard Webhooks specification suggests, and for how long it is refused."""

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# After the first, the second … failed attempt; the last one is some three days after the first.
PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
_JITTER = 0.2
_LONGEST_WISH = timedelta(hours=24)
# An address that fails is left alone for a moment, longer each time, so that it holds up no other.
_REST = timedelta(seconds=2)
_LONGEST_REST = timedelta(minutes=5)
# An address that has taken nothing for so long, while messages were given up, is switched off.
LONGEST_FAILING = timedelta(days=3)


def next_attempt(attempts: int, now: datetime, wish: timedelta | None) -> datetime | None:
    """Return when to try again after ``attempts`` tries, not before the ``wish``; ``None`` when it is enough."""
    if attempts > len(PAUSES):
        return None
    pause = PAUSES[attempts - 1] * (1 + random.random() * _JITTER)  # noqa: S311 - no secret depends on it
    return now + max(pause, wish or timedelta())


def rest(failures: int) -> timedelta:
    """Return how long an address is left alone after so many failures without a success."""
    doubled: int = 2 ** min(failures - 1, 10)
    return min(_REST * doubled, _LONGEST_REST)


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Read ``Retry-After`` (RFC 9110: seconds or a date), at most a day; ``None`` if it is absent or unreadable."""
    given = headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return min(timedelta(seconds=int(given[:9])), _LONGEST_WISH)
    try:
        moment = parsedate_to_datetime(given)
    except ValueError:
        return None
    pause = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now
    return min(max(pause, timedelta()), _LONGEST_WISH)
