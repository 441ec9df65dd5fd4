"""Links by which people choose a new password: mailed, used once, over after an hour."""

from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.accounts import users
from backend.db.models.accounts import PasswordReset, User
from backend.lib import clock, keyring, secrecy
from backend.lib.problems import Problem

VALID = timedelta(hours=1)
_PURPOSE = "password-reset"


def begin(session: Session, user: User) -> str:
    """Return the secret of a new link; links from before go on working until one is used."""
    secret = secrecy.make_secret()
    moment = clock.now()
    session.add(PasswordReset(digest=_digest(secret), user_id=user.id, created_at=moment, expires_at=moment + VALID))
    session.flush()
    return secret


def find(session: Session, secret: str) -> User:
    """Return whose password the link changes.

    Raises:
        Problem: ``link_over`` if it was used, is too old, or never was one.
    """
    wanted = (
        PasswordReset.digest.in_(keyring.digests(_PURPOSE, secret)),
        PasswordReset.expires_at > clock.now(),
        User.active,
    )
    user = session.scalar(select(User).join(PasswordReset, PasswordReset.user_id == User.id).where(*wanted))
    if user is None:
        raise Problem("link_over", "This link was used before, is more than an hour old, or was cut off on its way.")
    return user


def use(session: Session, secret: str, password: str) -> User:
    """Set the password and unlock the user; every link and every session of theirs ends.

    Raises:
        Problem: ``link_over``, or ``invalid_value`` for the password.
    """
    user = find(session, secret)
    users.set_password(user, password)
    # Of two that use the link at the same moment, the one whose row is gone is turned away.
    used = (
        delete(PasswordReset)
        .where(PasswordReset.digest.in_(keyring.digests(_PURPOSE, secret)))
        .returning(PasswordReset.id)
    )
    if session.scalar(used) is None:
        raise Problem("link_over", "This link was used a moment ago.")
    session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))
    return user


def purge_over(session: Session) -> None:
    """Delete the links that are too old."""
    session.execute(delete(PasswordReset).where(PasswordReset.expires_at <= clock.now()))


def _digest(secret: str) -> str:
    return keyring.digest(_PURPOSE, secret)
