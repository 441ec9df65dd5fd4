"""Slower lanes for what invites guessing: signing in, asking for a reset or a token, by account and network address.

Attempts are counted in fixed windows; one row a window, raised by one statement. People's attempts are counted all,
the right ones too. Of the API clients' only the failures are, for a system asks as often as it likes.
"""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from sqlalchemy import delete, select, tuple_
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
SIGN_IN_HERE = Lane("sign-in-here", 15, 300)
SIGN_IN_ACCOUNT = Lane("sign-in-account", 60, 300)
SIGN_IN_ADDRESS = Lane("sign-in-address", 60, 300)
# As long as the links work that were mailed in it: who is refused another has one that does.
RESET_HERE = Lane("reset-here", 3, 3600)
RESET_ACCOUNT = Lane("reset-account", 5, 3600)
# The failure that fills it is worth telling the owner, once a day.
WARNING_ACCOUNT = Lane("warning-account", 10, 86_400)
RESET_ADDRESS = Lane("reset-address", 20, 3600)
LINK_ADDRESS = Lane("link-address", 60, 300)
# A system with an old secret tries again every second or so, and others behind its address have the right one.
TOKEN_ADDRESS = Lane("token-address", 600, 300)
TOKEN_CLIENT = Lane("token-client", 120, 300)
TOKEN_CLIENT_ADDRESS = Lane("token-client-address", 60, 300)
_LONGEST = 86_400
# From an address that has not guessed before, so many attempts are heard while others guess at the same account.
_SPARED = 3

Try = tuple[Lane, str]


def at_tokens(client_id: str, address: str) -> tuple[Try, Try, Try]:
    """Return the lanes of a failed proof to be an API client: of it at this address, of it, and of the address."""
    here = f"{client_id} {address}"
    return (TOKEN_CLIENT_ADDRESS, here), (TOKEN_CLIENT, client_id), (TOKEN_ADDRESS, address)


def take(database: Database, *wanted: Try, durable: bool = True) -> None:
    """Count an attempt in each lane, for the account or address named beside it.

    Raises:
        Problem: ``rate_limited`` if a lane is full; the sentence says when it is free again.
    """
    with database.write(durable=durable) as session:
        full = [lane for lane, who in wanted if _count(session, lane, who) > lane.limit]
    if full:
        raise _refusal(full)


def take_at_sign_in(database: Database, email: str, address: str) -> None:
    """Count an attempt to sign in, of this account from this network address and of the address.

    A stranger fills the lanes of their own address alone. Failures from many addresses fill the account's too, and
    then each address is heard a few times: its owner still gets in from where nobody guesses. No account is locked.

    Raises:
        Problem: ``rate_limited``, for whoever may be behind the account, and if there is none.
    """
    with database.write() as session:
        here = _count(session, SIGN_IN_HERE, f"{email} {address}")
        there = _count(session, SIGN_IN_ADDRESS, address)
        failed = _counted(session, SIGN_IN_ACCOUNT, email)
    full = [lane for lane, count in ((SIGN_IN_HERE, here), (SIGN_IN_ADDRESS, there)) if count > lane.limit]
    if failed >= SIGN_IN_ACCOUNT.limit and here > _SPARED:
        full.append(SIGN_IN_ACCOUNT)
    if full:
        raise _refusal(full)


def note_failure(database: Database, email: str) -> bool:
    """Count a failed sign-in; tell whether the account's owner, if it has one, ought to hear of them."""
    with database.write(durable=False) as session:
        _count(session, SIGN_IN_ACCOUNT, email)
        return _count(session, WARNING_ACCOUNT, email) == WARNING_ACCOUNT.limit


def passes(session: Session, lane: Lane, who: str) -> bool:
    """Count something and tell whether it is within the lane's limit, where nobody is told that it is not."""
    return _count(session, lane, who) <= lane.limit


def check(session: Session, own: Try, *wider: Try) -> None:
    """Refuse whoever has failed in their ``own`` lane, if that or a wider one is full; nothing is counted.

    Whoever has not failed is let through, so that nobody is shut out by another's guesses: these fill the wider
    lanes, and the guesser's own.

    Raises:
        Problem: ``rate_limited``.
    """
    rows = {_row(*one): one[0] for one in (own, *wider)}
    key = tuple_(AttemptWindow.lane, AttemptWindow.who, AttemptWindow.starts_at)
    found = session.execute(
        select(AttemptWindow.lane, AttemptWindow.who, AttemptWindow.starts_at, AttemptWindow.count).where(key.in_(rows))
    )
    counts = {(lane, who, starts_at): count for lane, who, starts_at, count in found}
    full = [lane for row, lane in rows.items() if counts.get(row, 0) >= lane.limit]
    if full and _row(*own) in counts:
        raise _refusal(full)


def _refusal(full: Sequence[Lane]) -> Problem:
    longest = max(full, key=lambda lane: lane.seconds)
    left = longest.seconds - clock.timestamp() % longest.seconds
    minutes = ceil(left / 60)
    detail = f"There were too many attempts. Wait {minutes} minute{'' if minutes == 1 else 's'} and try again."
    return Problem("rate_limited", detail, headers={"Retry-After": str(ceil(left))})


def _row(lane: Lane, who: str) -> tuple[str, str, int]:
    digest = secrecy.digest(settings.current().secret_key, "attempts", who.strip().lower())
    return lane.name, digest, int(clock.timestamp() // lane.seconds) * lane.seconds


def _count(session: Session, lane: Lane, who: str) -> int:
    row = dict(zip(("lane", "who", "starts_at"), _row(lane, who), strict=True)) | {"count": 1}
    raised = insert(session, AttemptWindow).values(row)
    raised = raised.on_conflict_do_update(
        index_elements=["lane", "who", "starts_at"], set_={"count": AttemptWindow.count + 1}
    )
    return int(session.scalar(raised.returning(AttemptWindow.count)) or 0)


def _counted(session: Session, lane: Lane, who: str) -> int:
    name, digest, starts_at = _row(lane, who)
    row = (AttemptWindow.lane == name, AttemptWindow.who == digest, AttemptWindow.starts_at == starts_at)
    return session.scalar(select(AttemptWindow.count).where(*row)) or 0


def forget_old_windows(session: Session) -> None:
    """Delete the counts of windows that are over."""
    session.execute(delete(AttemptWindow).where(AttemptWindow.starts_at < clock.timestamp() - 2 * _LONGEST))
