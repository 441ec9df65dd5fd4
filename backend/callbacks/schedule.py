"""When a callback is posted again, as the Standard Webhooks specification suggests, and for how long it is refused."""

from datetime import datetime, timedelta

from backend.lib import backoff

# After the first, the second … failed attempt; the last one is some three days after the first.
PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
)
_JITTER = 0.2
# No address gets a longer pause by asking for it.
LONGEST_WISH = timedelta(hours=24)
# An address that fails is left alone for a moment, longer each time, so that it holds up no other.
_REST, _LONGEST_REST = 2.0, 300.0  # seconds
# An address that has taken nothing for so long, while messages were given up, is switched off.
LONGEST_FAILING = timedelta(days=3)


def next_attempt(attempts: int, now: datetime, wish: timedelta | None) -> datetime | None:
    """Return when to try again after ``attempts`` tries, not before the ``wish``; ``None`` when it is enough."""
    if attempts > len(PAUSES):
        return None
    pause = timedelta(seconds=backoff.scattered(PAUSES[attempts - 1].total_seconds(), _JITTER))
    return now + max(pause, wish or timedelta())


def rest(failures: int) -> timedelta:
    """Return how long an address is left alone after so many failures without a success."""
    return timedelta(seconds=backoff.doubled(_REST, failures - 1, _LONGEST_REST))
