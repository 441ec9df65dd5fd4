"""When a delivery is tried again, and when no more."""

from datetime import datetime, timedelta

from backend.lib import backoff

MAX_ATTEMPTS = 10
MAX_AGE = timedelta(hours=24)
_JITTER = 0.25


def next_attempt(
    *,
    attempts: int,
    accepted_at: datetime,
    now: datetime,
    base_seconds: float,
    retry_after: float | None,
) -> datetime | None:
    """Return when to try again after ``attempts`` tries; ``None`` when it is enough.

    The pause doubles from ``base_seconds``, and up to a quarter is added by chance so that messages that failed
    together do not come back together. A provider that asks for a longer pause gets it.
    """
    pause = backoff.scattered(_pause(attempts, base_seconds), _JITTER)
    moment = now + timedelta(seconds=max(pause, retry_after or 0))
    if attempts >= MAX_ATTEMPTS or moment - accepted_at > MAX_AGE:
        return None
    return moment


def longest_pause(attempts: int, base_seconds: float) -> timedelta:
    """Return for how long a message may wait after ``attempts`` tries where no provider asks for more."""
    if not attempts:
        return timedelta()
    return timedelta(seconds=_pause(attempts, base_seconds) * (1 + _JITTER))


def _pause(attempts: int, base_seconds: float) -> float:
    return backoff.doubled(base_seconds, min(attempts, MAX_ATTEMPTS) - 1)
