"""Slower lanes for what invites guessing: signing in, asking for a reset, by account and by network address.

Every attempt is counted, the right ones too, in fixed windows; one row a window, raised by one statement.
"""

from math import ceil
from typing import NamedTuple

from sqlalchemy import delete
from sqlalchemy.orm import Session

from backend.db.models.accounts import AttemptWindow
from backend.db.session import Database
from backend.db.statements import insert
from backend.lib import clock, secrecy, settings
from backend.lib.problems import Problem


class Lane(NamedTuple):
    """``limit`` attempts in ``seconds`` for one account or one address."""

    name: str
    limit: int
    seconds: int


# Behind one address there may be a whole institute; a person mistypes now and then.
SIGN_IN_ACCOUNT = Lane("sign-in-account", 15, 300)
SIGN_IN_ADDRESS = Lane("sign-in-address", 60, 300)
RESET_ACCOUNT = Lane("reset-account", 3, 3600)
RESET_ADDRESS = Lane("reset-address", 20, 3600)
LINK_ADDRESS = Lane("link-address", 60, 300)
_LONGEST = 3600


def take(database: Database, *wanted: tuple[Lane, str]) -> None:
    """Count an attempt in each lane, for the account or address named beside it.

    Raises:
        Problem: ``rate_limited`` if a lane is full; the sentence says when it is free again.
    """
    with database.write() as session:
        full = [lane for lane, who in wanted if _count(session, lane, who) > lane.limit]
    if full:
        longest = max(full, key=lambda lane: lane.seconds)
        left = longest.seconds - clock.timestamp() % longest.seconds
        minutes = ceil(left / 60)
        detail = f"There were too many attempts. Wait {minutes} minute{'' if minutes == 1 else 's'} and try again."
        raise Problem("rate_limited", detail, headers={"Retry-After": str(ceil(left))})


def _count(session: Session, lane: Lane, who: str) -> int:
    row = {
        "lane": lane.name,
        "who": secrecy.digest(settings.current().secret_key, "attempts", who.strip().lower()),
        "starts_at": int(clock.timestamp() // lane.seconds) * lane.seconds,
        "count": 1,
    }
    raised = insert(session, AttemptWindow).values(row)
    raised = raised.on_conflict_do_update(
        index_elements=["lane", "who", "starts_at"], set_={"count": AttemptWindow.count + 1}
    )
    return int(session.scalar(raised.returning(AttemptWindow.count)) or 0)


def forget_old_windows(session: Session) -> None:
    """Delete the counts of windows that are over."""
    session.execute(delete(AttemptWindow).where(AttemptWindow.starts_at < clock.timestamp() - 2 * _LONGEST))
