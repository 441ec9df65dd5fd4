"""The team of a service: who is in it and in which role. A service keeps one administrator at least."""

from typing import cast

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.accounts.users import MAX_FAILURES, ROLES, Role
from backend.db.models.accounts import Membership, User
from backend.lib.problems import Problem


class TeamMember(msgspec.Struct, frozen=True):
    """One member; ``active`` and ``failed_logins`` are those of their account."""

    user_id: int
    email: str
    role: Role
    active: bool
    failed_logins: int

    @property
    def is_locked(self) -> bool:
        """Tell whether too many wrong passwords in a row have locked them out."""
        return self.failed_logins > MAX_FAILURES


def of_service(session: Session, service_id: int) -> list[TeamMember]:
    """List a service's members in the order of their addresses."""
    rows = session.execute(
        select(User.id, User.email, Membership.role, User.active, User.failed_logins)
        .join(User, Membership.user_id == User.id)
        .where(Membership.service_id == service_id)
        .order_by(User.email)
    )
    return [TeamMember(row.id, row.email, cast("Role", row.role), row.active, row.failed_logins) for row in rows]


def checked_role(role: str) -> Role:
    """Return a role that exists.

    Raises:
        Problem: ``invalid_value``.
    """
    match role:
        case "admin" | "editor" | "viewer":
            return role
        case _:
            raise Problem("invalid_value", f"A role is one of {', '.join(ROLES)}.")


def change_role(session: Session, service_id: int, user_id: int, role: Role) -> tuple[str, str]:
    """Give a member another role; return their e-mail address and the role they had.

    Raises:
        Problem: ``not_found`` for somebody who is no member, ``last_administrator`` if no administrator would be left.
    """
    membership, email = _member(session, service_id, user_id)
    before = membership.role
    if role != "admin":
        _keep_an_administrator(session, membership)
    membership.role, membership.by_group = role, False  # a person's decision from now on
    session.flush()
    return email, before


def remove(session: Session, service_id: int, user_id: int) -> str:
    """Take somebody out of the team and return their e-mail address; their account stays.

    Raises:
        Problem: ``not_found`` for somebody who is no member, ``last_administrator`` if no administrator would be left.
    """
    membership, email = _member(session, service_id, user_id)
    _keep_an_administrator(session, membership)
    session.delete(membership)
    session.flush()
    return email


def _member(session: Session, service_id: int, user_id: int) -> tuple[Membership, str]:
    wanted = (Membership.service_id == service_id, Membership.user_id == user_id)
    row = session.execute(
        select(Membership, User.email).join(User, Membership.user_id == User.id).where(*wanted)
    ).one_or_none()
    if row is None:
        raise Problem("not_found", "This person is not a member of the service.")
    return row[0], row[1]


def _keep_an_administrator(session: Session, leaving: Membership) -> None:
    if leaving.role != "admin":
        return
    # Locked, so that two administrators who take each other out do not both succeed.
    administrators = session.scalars(
        select(Membership.id)
        .where(Membership.service_id == leaving.service_id, Membership.role == "admin")
        .with_for_update()
    ).all()
    if len(administrators) < 2:
        raise Problem("last_administrator", "A service keeps at least one administrator: make somebody else one first.")


def count(session: Session, service_id: int) -> int:
    """Count a service's members."""
    wanted = select(func.count()).select_from(Membership).where(Membership.service_id == service_id)
    return session.scalar(wanted) or 0
