"""The package's housekeeping: what has expired is refused for that already, and is deleted once an hour."""

from backend.accounts import attempts, oidc_attempts, password_resets, rate_limits, revocations, sessions
from backend.db import database as db
from backend.lib import queue
from backend.lib.throttle import Throttle

_hourly = Throttle()
_STEPS = (
    rate_limits.purge_old_windows,
    revocations.purge_expired,
    sessions.purge_over,
    attempts.purge_old_windows,
    password_resets.purge_over,
    oidc_attempts.purge_over,
)


@queue.periodic
def purge() -> None:
    """Delete counts of past windows, ids of expired tokens and assertions, sessions and links that are over."""
    if not _hourly.take():
        return
    for step in _STEPS:
        with db.current().transaction() as session:
            step(session)
