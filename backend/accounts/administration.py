"""What platform administrators do with people: switch accounts on and off, unlock them, make administrators."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Membership, Service, User
from backend.lib.problems import Problem

PAGE_LENGTH = 100


def people(session: Session, search: str = "", after: str = "") -> list[User]:
    """List users by e-mail address: those whose address holds ``search``, from the one after ``after`` on.

    One more than a page is returned if there are more.
    """
    wanted = select(User).where(User.email > after).order_by(User.email).limit(PAGE_LENGTH + 1)
    if search:
        wanted = wanted.where(User.email.contains(search.strip().lower(), autoescape=True))
    return list(session.scalars(wanted))


def person(session: Session, user_id: int) -> User:
    """Return a user.

    Raises:
        Problem: ``not_found``.
    """
    found = session.get(User, user_id)
    if found is None:
        raise Problem("not_found", "There is no such user.")
    return found


def roles(session: Session, user_id: int) -> Sequence[tuple[int, str, str]]:
    """List a user's services with their roles: the service's id and name, and the role."""
    rows = session.execute(
        select(Service.id, Service.name, Membership.role)
        .join(Membership, Membership.service_id == Service.id)
        .where(Membership.user_id == user_id)
        .order_by(Service.name)
    )
    return [(service_id, name, role) for service_id, name, role in rows]


def switch(session: Session, user: User, *, active: bool) -> None:
    """Switch an account off, which ends its sessions at the next request, or on again.

    Raises:
        Problem: ``last_administrator`` if no active platform administrator would be left.
    """
    if not active:
        _keep_an_administrator(session, user)
    user.active = active


def unlock(user: User) -> None:
    """Let a user who was locked out by wrong passwords try again."""
    user.failed_logins = 0


def make_administrator(session: Session, user: User, *, platform_admin: bool) -> None:
    """Make a user a platform administrator, or an ordinary one again.

    Raises:
        Problem: ``last_administrator`` if no active platform administrator would be left.
    """
    if not platform_admin:
        _keep_an_administrator(session, user)
    user.platform_admin = platform_admin


def _keep_an_administrator(session: Session, leaving: User) -> None:
    if not (leaving.platform_admin and leaving.active):
        return
    wanted = select(User.id).where(User.platform_admin, User.active).with_for_update()
    if len(session.scalars(wanted).all()) < 2:
        raise Problem("last_administrator", "An installation keeps at least one active platform administrator.")
