"""People who sign in to the portal, their roles in services, and the check of their passwords."""

from typing import Literal, get_args

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from backend.accounts import audit, passwords
from backend.channels import addresses
from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.accounts import Membership, Service, User
from backend.lib import clock
from backend.lib.problems import Problem

Role = Literal["admin", "editor", "viewer"]
ROLES: tuple[str, ...] = get_args(Role)
MAX_FAILURES = 5


def create_user(  # noqa: PLR0913 - what a user is made of, each named at the call
    session: Session,
    email: str,
    password: str,
    *,
    platform_admin: bool = False,
    mobile: str | None = None,
    service: Service | None = None,
    role: Role | None = None,
    active: bool = True,
) -> User:
    """Create a user, with a role in one service if both are given.

    Raises:
        Problem: ``name_taken`` for a known e-mail address, ``invalid_address``, or ``invalid_value`` for the password.
    """
    address = normalised(email)
    passwords.check(password)
    if by_email(session, address) is not None:
        raise Problem("name_taken", f"There is a user {address} already.")
    user = User(
        email=address,
        password_hash=passwords.make_hash(password),
        mobile=None if mobile is None else addresses.normalise(Channel.SMS, mobile),
        active=active,
        platform_admin=platform_admin,
        failed_logins=0,
        password_changed_at=clock.now(),
    )
    session.add(user)
    session.flush()
    if service is not None and role is not None:
        give_role(session, user, service, role)
    return user


def normalised(email: str) -> str:
    """Return an e-mail address as users are known by it: in lower case."""
    return addresses.normalise(Channel.EMAIL, email).lower()


def by_email(session: Session, email: str) -> User | None:
    """Find a user by the e-mail address, in any case of letters."""
    if not email.isprintable():
        return None
    return session.scalar(select(User).where(User.email == email.strip().lower()))


def give_role(session: Session, user: User, service: Service, role: Role) -> Membership:
    """Give a user a role in a service, in place of the one there was."""
    wanted = (Membership.user_id == user.id, Membership.service_id == service.id)
    membership = session.scalar(select(Membership).where(*wanted))
    if membership is None:
        membership = Membership(user_id=user.id, service_id=service.id, role=role)
        session.add(membership)
    membership.role, membership.by_group = role, False
    session.flush()
    return membership


def join(session: Session, email: str, password: str | None) -> User:
    """Create a user who followed an invitation; without a password, for those who sign in elsewhere.

    Raises:
        Problem: ``name_taken`` for a known e-mail address, or ``invalid_value`` for the password.
    """
    if password is not None:
        return create_user(session, email, password)
    address = normalised(email)
    if by_email(session, address) is not None:
        raise Problem("name_taken", f"There is a user {address} already.")
    user = User(email=address)
    session.add(user)
    session.flush()
    return user


def set_password(user: User, password: str) -> None:
    """Replace the password and unlock the user.

    Raises:
        Problem: ``invalid_value`` for a password that is too short or too long.
    """
    passwords.check(password)
    user.password_hash = passwords.make_hash(password)
    user.password_changed_at = clock.now()
    user.failed_logins = 0


def is_locked(user: User) -> bool:
    """Tell whether too many wrong passwords in a row have locked the user out of the alpha's clients."""
    return user.failed_logins > MAX_FAILURES


def verify(session: Session, email: str, password: str) -> User | None:
    """Return the active, unlocked user with this password; anything else is None and counts as a failure.

    The hash takes about 20 ms, for which a write transaction would keep every other writer of SQLite waiting:
    prefer ``sign_in``, which hashes outside of one.
    """
    user = by_email(session, email)
    right = passwords.matches(user.password_hash if user else None, password)
    return _signed_in(session, user, right=right)


def with_password(database: Database, email: str, password: str) -> User | None:
    """Return the active user with this password, for the portal: its attempts are slowed and lock nobody out.

    Where there is no such user the same is done, so that the time tells nothing.
    """
    with database.read() as session:
        user = by_email(session, email)
    right = passwords.matches(user.password_hash if user else None, password)
    return user if right and user is not None and user.active else None


def sign_in(database: Database, email: str, password: str) -> User | None:
    """Do as ``verify`` does, with short transactions of its own: for the alpha's clients, whose failures lock out."""
    with database.read() as session:
        user = by_email(session, email)
        stored = user.password_hash if user else None
    right = passwords.matches(stored, password)
    if user is None:
        return None
    with database.transaction() as session:
        present = session.get(User, user.id, populate_existing=True)
        found = _signed_in(session, present, right=right)
        if found is None and present is not None and present.active and present.failed_logins == MAX_FAILURES + 1:
            audit.record(session, audit.SYSTEM, "user.locked", present.email, service_id=None)
        return found


def _signed_in(session: Session, user: User | None, *, right: bool) -> User | None:
    """Count in the statement itself, so that attempts at the same moment are all counted."""
    if user is None:
        return None
    if right and user.active and not is_locked(user):
        user.failed_logins = 0
        session.flush()
        return user
    session.execute(update(User).where(User.id == user.id).values(failed_logins=User.failed_logins + 1))
    session.refresh(user)
    return None
