"""The room's housekeeping: what has expired is refused for that already, and is deleted once an hour."""

from backend.accounts import attempts, oidc_attempts, password_resets, rate_limits, revocations, sessions
from backend.db import session as db
from backend.lib import queue
from backend.lib.pace import Pace

_pace = Pace()
_STEPS = (
    rate_limits.forget_old_windows,
    revocations.forget_expired,
    sessions.forget_over,
    attempts.forget_old_windows,
    password_resets.forget_over,
    oidc_attempts.forget_over,
)


@queue.periodic
def forget() -> None:
    """Delete counts of past windows, ids of expired tokens and assertions, sessions and links that are over."""
    if not _pace.take():
        return
    for step in _STEPS:
        with db.current().write() as session:
            step(session)
