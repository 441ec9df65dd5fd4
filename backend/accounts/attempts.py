"""Slower buckets for what invites guessing: signing in, asking for a reset or a token, by account and network address.

Attempts are counted in fixed windows; one row a window, raised by one statement. People's attempts are counted all,
the right ones too. Of the API clients' only the failures are, for a system asks as often as it likes.
"""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.orm import Session

from backend.db.database import Database
from backend.db.models.accounts import AttemptWindow
from backend.db.statements import insert
from backend.lib import clock, secrecy, settings
from backend.lib.problems import Problem


class Bucket(NamedTuple):
    """``limit`` attempts in ``seconds`` for one account or one address."""

    name: str
    limit: int
    seconds: int


# Behind one address there may be a whole institute; a person mistypes now and then.
SIGN_IN_HERE = Bucket("sign-in-here", 15, 300)
SIGN_IN_ACCOUNT = Bucket("sign-in-account", 60, 300)
SIGN_IN_ADDRESS = Bucket("sign-in-address", 60, 300)
# As long as the links work that were mailed in it: who is refused another has one that does.
RESET_HERE = Bucket("reset-here", 3, 3600)
RESET_ACCOUNT = Bucket("reset-account", 5, 3600)
# The failure that fills it is worth telling the owner, once a day.
WARNING_ACCOUNT = Bucket("warning-account", 10, 86_400)
# A code has six digits. Whoever tries them knows the password, which the owner hears of.
CODE_HERE = Bucket("code-here", 5, 300)
CODE_ACCOUNT = Bucket("code-account", 20, 3600)
CODE_WARNING = Bucket("code-warning", 3, 86_400)
# A link to an address of others', at the wish of one service: to that address, and to all of the service's.
SENDER_LINK = Bucket("sender-link", 3, 3600)
SENDER_LINKS = Bucket("sender-links", 30, 3600)
RESET_ADDRESS = Bucket("reset-address", 20, 3600)
LINK_ADDRESS = Bucket("link-address", 60, 300)
# Wrong addresses for a file: of one link from one network address, of the link, and from the network address.
FILE_HERE = Bucket("file-here", 10, 900)
FILE_LINK = Bucket("file-link", 60, 3600)
FILE_ADDRESS = Bucket("file-address", 60, 900)
FILE_FETCH = Bucket("file-fetch", 120, 300)
ACKNOWLEDGE_ADDRESS = Bucket("acknowledge-address", 60, 300)
# A system with an old secret tries again every second or so, and others behind its address have the right one.
TOKEN_ADDRESS = Bucket("token-address", 600, 300)
TOKEN_CLIENT = Bucket("token-client", 120, 300)
TOKEN_CLIENT_ADDRESS = Bucket("token-client-address", 60, 300)
_LONGEST = 86_400
# From an address that has not guessed before, so many attempts are heard while others guess at the same account.
_SPARED = 3

Try = tuple[Bucket, str]


def at_tokens(client_id: str, address: str) -> tuple[Try, Try, Try]:
    """Return the buckets of a failed proof to be an API client: of it at this address, of it, and of the address."""
    here = f"{client_id} {address}"
    return (TOKEN_CLIENT_ADDRESS, here), (TOKEN_CLIENT, client_id), (TOKEN_ADDRESS, address)


def take(database: Database, *wanted: Try, durable: bool = True) -> None:
    """Count an attempt in each bucket, for the account or address named beside it.

    Raises:
        Problem: ``rate_limited`` if a bucket is full; the sentence says when it is free again.
    """
    with database.transaction(durable=durable) as session:
        full = [bucket for bucket, who in wanted if _count(session, bucket, who) > bucket.limit]
    if full:
        raise _refusal(full)


def take_at_sign_in(database: Database, email: str, address: str) -> None:
    """Count an attempt to sign in, of this account from this network address and of the address.

    A stranger fills the buckets of their own address alone. Failures from many addresses fill the account's too, and
    then each address is heard a few times: its owner still gets in from where nobody guesses. No account is locked.

    Raises:
        Problem: ``rate_limited``, for whoever may be behind the account, and if there is none.
    """
    with database.transaction() as session:
        here = _count(session, SIGN_IN_HERE, f"{email} {address}")
        there = _count(session, SIGN_IN_ADDRESS, address)
        failed = _counted(session, SIGN_IN_ACCOUNT, email)
    full = [bucket for bucket, count in ((SIGN_IN_HERE, here), (SIGN_IN_ADDRESS, there)) if count > bucket.limit]
    if failed >= SIGN_IN_ACCOUNT.limit and here > _SPARED:
        full.append(SIGN_IN_ACCOUNT)
    if full:
        raise _refusal(full)


def note_failure(database: Database, email: str) -> bool:
    """Count a failed sign-in; tell whether the account's owner, if it has one, ought to hear of them."""
    with database.transaction(durable=False) as session:
        _count(session, SIGN_IN_ACCOUNT, email)
        return _count(session, WARNING_ACCOUNT, email) == WARNING_ACCOUNT.limit


def note_wrong_code(database: Database, email: str) -> bool:
    """Count a code that was wrong after a right password; tell whether the account's owner ought to hear of it."""
    with database.transaction(durable=False) as session:
        return _count(session, CODE_WARNING, email) == CODE_WARNING.limit


def passes(session: Session, bucket: Bucket, who: str) -> bool:
    """Count something and tell whether it is within the bucket's limit, where nobody is told that it is not."""
    return _count(session, bucket, who) <= bucket.limit


def give_back(session: Session, bucket: Bucket, who: str) -> None:
    """Count one less of something, which came to nothing."""
    name, digest, starts_at = _row(bucket, who)
    row = (AttemptWindow.lane == name, AttemptWindow.who == digest, AttemptWindow.starts_at == starts_at)
    session.execute(update(AttemptWindow).where(*row, AttemptWindow.count > 0).values(count=AttemptWindow.count - 1))


def check(session: Session, own: Try, *wider: Try) -> None:
    """Refuse whoever has failed in their ``own`` bucket, if that or a wider one is full; nothing is counted.

    Whoever has not failed is let through, so that nobody is shut out by another's guesses: these fill the wider
    buckets, and the guesser's own.

    Raises:
        Problem: ``rate_limited``.
    """
    rows = {_row(*one): one[0] for one in (own, *wider)}
    key = tuple_(AttemptWindow.lane, AttemptWindow.who, AttemptWindow.starts_at)
    found = session.execute(
        select(AttemptWindow.lane, AttemptWindow.who, AttemptWindow.starts_at, AttemptWindow.count).where(key.in_(rows))
    )
    counts = {(bucket, who, starts_at): count for bucket, who, starts_at, count in found}
    full = [bucket for row, bucket in rows.items() if counts.get(row, 0) >= bucket.limit]
    if full and _row(*own) in counts:
        raise _refusal(full)


def _refusal(full: Sequence[Bucket]) -> Problem:
    longest = max(full, key=lambda bucket: bucket.seconds)
    left = longest.seconds - clock.timestamp() % longest.seconds
    minutes = ceil(left / 60)
    detail = f"There were too many attempts. Wait {minutes} minute{'' if minutes == 1 else 's'} and try again."
    return Problem("rate_limited", detail, headers={"Retry-After": str(ceil(left))})


def _row(bucket: Bucket, who: str) -> tuple[str, str, int]:
    digest = secrecy.digest(settings.current().secret_key, "attempts", who.strip().lower())
    return bucket.name, digest, int(clock.timestamp() // bucket.seconds) * bucket.seconds


def _count(session: Session, bucket: Bucket, who: str) -> int:
    row = dict(zip(("lane", "who", "starts_at"), _row(bucket, who), strict=True)) | {"count": 1}
    raised = insert(session, AttemptWindow).values(row)
    raised = raised.on_conflict_do_update(
        index_elements=["lane", "who", "starts_at"], set_={"count": AttemptWindow.count + 1}
    )
    return int(session.scalar(raised.returning(AttemptWindow.count)) or 0)


def _counted(session: Session, bucket: Bucket, who: str) -> int:
    name, digest, starts_at = _row(bucket, who)
    row = (AttemptWindow.lane == name, AttemptWindow.who == digest, AttemptWindow.starts_at == starts_at)
    return session.scalar(select(AttemptWindow.count).where(*row)) or 0


def purge_old_windows(session: Session) -> None:
    """Delete the counts of windows that are over."""
    session.execute(delete(AttemptWindow).where(AttemptWindow.starts_at < clock.timestamp() - 2 * _LONGEST))
