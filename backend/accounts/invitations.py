"""Links by which people join a service: mailed, used once, over after a week, kept as digests."""

from collections.abc import Sequence
from datetime import timedelta
from typing import cast

import msgspec
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from backend.accounts import users
from backend.accounts.users import Role
from backend.db.models.accounts import Invitation, Membership, Service, User
from backend.lib import clock, keyring, secrecy
from backend.lib.problems import Problem

VALID = timedelta(days=7)
_PURPOSE = "invitation"


class NewInvitation(msgspec.Struct, frozen=True):
    """An invitation at the one moment when its link can be made; the representation leaves the secret out."""

    id: int
    email: str
    secret: str

    def __repr__(self) -> str:
        return f"NewInvitation(id={self.id})"


class Invited(msgspec.Struct, frozen=True):
    """What a link offers: to whom, by whom, which role in which service (null: an account alone)."""

    id: int
    email: str
    role: Role
    invited_by: str
    service_id: int | None
    service_name: str | None


def invite(session: Session, service: Service | None, email: str, role: Role, invited_by: str) -> NewInvitation:
    """Invite an e-mail address; without a service, to an account of its own.

    Raises:
        Problem: ``invalid_address``, or ``name_taken`` if they are a member, or invited, already.
    """
    address = users.normalised(email)
    service_id = service.id if service else None
    if _is_there(session, address, service_id):
        raise Problem("name_taken", f"{address} is a member already." if service else f"{address} has an account.")
    waiting = (Invitation.email == address, Invitation.service_id == service_id, *_open())
    if session.scalar(select(Invitation.id).where(*waiting)) is not None:
        raise Problem("name_taken", f"{address} is invited already; the invitation can be sent again.")
    secret = secrecy.make_secret()
    row = Invitation(
        digest=_digest(secret),
        service_id=service_id,
        email=address,
        role=role,
        invited_by=invited_by,
        created_at=clock.now(),
        expires_at=clock.now() + VALID,
    )
    session.add(row)
    session.flush()
    return NewInvitation(row.id, address, secret)


def renew(session: Session, service_id: int | None, invitation_id: int) -> NewInvitation:
    """Give an invitation a new link, good for another week; the old link ends.

    Raises:
        Problem: ``not_found`` if it is no open invitation of the service.
    """
    row = _of_service(session, service_id, invitation_id)
    secret = secrecy.make_secret()
    row.digest, row.created_at, row.expires_at = _digest(secret), clock.now(), clock.now() + VALID
    session.flush()
    return NewInvitation(row.id, row.email, secret)


def withdraw(session: Session, service_id: int | None, invitation_id: int) -> str:
    """End an invitation and return whom it was for.

    Raises:
        Problem: ``not_found`` if it is no open invitation of the service.
    """
    row = _of_service(session, service_id, invitation_id)
    row.withdrawn_at = clock.now()
    session.flush()
    return row.email


def waiting(session: Session, service_id: int | None) -> Sequence[Invitation]:
    """List the invitations that nobody has followed yet, those that are over included, newest first."""
    wanted = (Invitation.service_id == service_id, Invitation.accepted_at.is_(None), Invitation.withdrawn_at.is_(None))
    return session.scalars(select(Invitation).where(*wanted).order_by(Invitation.id.desc()).limit(200)).all()


def find(session: Session, secret: str) -> Invited:
    """Return what a link offers.

    Raises:
        Problem: ``link_over`` if it was followed, withdrawn, is too old, or never was one.
    """
    return _offered(session, Invitation.digest.in_(keyring.digests(_PURPOSE, secret)))


def by_id(session: Session, invitation_id: int) -> Invited:
    """Return what an invitation offers that was found by its link a moment ago.

    Raises:
        Problem: ``link_over`` as ``find`` does.
    """
    return _offered(session, Invitation.id == invitation_id)


def accept(session: Session, invited: Invited, user: User) -> None:
    """Give the user what the invitation offers, and end it.

    Raises:
        Problem: ``link_over`` if somebody was quicker.
    """
    taken = session.execute(
        update(Invitation)
        .where(Invitation.id == invited.id, *_open())
        .values(accepted_at=clock.now())
        .returning(Invitation.id)
    )
    if taken.scalar_one_or_none() is None:
        raise _over()
    service = session.get(Service, invited.service_id) if invited.service_id is not None else None
    if service is not None:
        users.give_role(session, user, service, invited.role)


def _offered(session: Session, which: ColumnElement[bool]) -> Invited:
    row = session.execute(
        select(Invitation, Service.name)
        .outerjoin(Service, Invitation.service_id == Service.id)
        .where(which, Invitation.expires_at > clock.now(), *_open())
    ).one_or_none()
    if row is None:
        raise _over()
    found: Invitation = row[0]
    role = cast("Role", found.role)
    return Invited(found.id, found.email, role, found.invited_by, found.service_id, row[1])


def _over() -> Problem:
    detail = "This invitation was accepted or withdrawn, is more than a week old, or its link was cut off on its way."
    return Problem("link_over", detail)


def _open() -> tuple[ColumnElement[bool], ...]:
    return Invitation.accepted_at.is_(None), Invitation.withdrawn_at.is_(None)


def _is_there(session: Session, address: str, service_id: int | None) -> bool:
    """Tell whether somebody is a member, or without a service has an account: one question for all who are not."""
    wanted = select(User.id).where(User.email == address)
    if service_id is not None:
        wanted = wanted.join(Membership, Membership.user_id == User.id).where(Membership.service_id == service_id)
    return session.scalar(wanted) is not None


def _of_service(session: Session, service_id: int | None, invitation_id: int) -> Invitation:
    row = session.get(Invitation, invitation_id)
    if row is None or row.service_id != service_id or row.accepted_at or row.withdrawn_at:
        raise Problem("not_found", "There is no such open invitation.")
    return row


def _digest(secret: str) -> str:
    return keyring.digest(_PURPOSE, secret)
