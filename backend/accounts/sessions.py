"""Signed-in browsers: begun at sign-in, resumed by each request, ended by sign-out, idleness or age."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import cast

import msgspec
from sqlalchemy import ColumnElement, bindparam, delete, select, update
from sqlalchemy.orm import Session

from backend.accounts import second_factor
from backend.accounts.users import Role
from backend.db.database import Database
from backend.db.models.accounts import Membership, PortalSession, Service, User
from backend.lib import clock, keyring, secrecy, settings
from backend.lib.outages import OUTAGES

_PURPOSE = "portal-session"
IDLE = timedelta(hours=8)
ABSOLUTE = timedelta(days=7)
# A session is marked as seen once a minute at most, so that reading pages costs no write each.
_SEEN_EVERY = timedelta(minutes=1)
_MEMBERSHIPS = (
    select(Service.id, Service.name, Membership.role)
    .join(Service, Membership.service_id == Service.id)
    .where(Membership.user_id == bindparam("user_id"))
    .order_by(Service.name)
)


class Member(msgspec.Struct, frozen=True):
    """A viewer's membership in one service."""

    service_id: int
    service_name: str
    role: Role


class Viewer(msgspec.Struct, frozen=True):
    """Who is signed in; ``memberships`` are their services in the order of the names, ``last`` the one seen last.

    ``lacks_factor`` marks somebody who has to set up two-factor sign-in before anything else.
    """

    user_id: int
    email: str
    platform_admin: bool
    memberships: tuple[Member, ...]
    last: int | None = None
    lacks_factor: bool = False

    @property
    def services(self) -> tuple[int, ...]:
        """Return the ids of the services that they are a member of."""
        return tuple(member.service_id for member in self.memberships)

    @property
    def reach(self) -> tuple[int, ...] | None:
        """Return the services whose data they may read; ``None`` is every service."""
        return None if self.platform_admin else self.services


class Signed(msgspec.Struct, frozen=True):
    """A browser that somebody is signed in with; ``present`` is the one that asks."""

    id: int
    browser: str
    created_at: datetime
    seen_at: datetime
    present: bool


def begin(
    session: Session, user_id: int, replacing: str | None = None, *, browser: str = "", by_provider: bool = False
) -> str:
    """Begin a session and return the cookie's value; the browser's former session, if any, ends.

    The value is new at every sign-in, so that one planted in a browser beforehand is worth nothing.
    """
    if replacing:
        end(session, replacing)
    moment = clock.now()
    session.execute(delete(PortalSession).where(PortalSession.user_id == user_id, _over(moment)))
    value = secrecy.make_secret()
    row = PortalSession(digest=_digest(value), user_id=user_id, created_at=moment, seen_at=moment)
    row.browser, row.by_provider = browser, by_provider
    session.add(row)
    return value


def resume(database: Database, value: str, *, touch: bool = True) -> Viewer | None:
    """Return who the cookie's value belongs to, or nothing if its session is over.

    A session is over after 8 idle hours, after 7 days, when its user was deactivated, and when their password was
    changed since. A request that no person made (a page refreshing itself) passes ``touch=False``: it does not
    keep an idle session alive. A database that cannot be written to keeps nobody from reading.
    """
    moment = clock.now()
    with database.read() as session:
        found = session.execute(
            select(PortalSession, User)
            .join(User, PortalSession.user_id == User.id)
            .where(PortalSession.digest.in_(keyring.digests(_PURPOSE, value)))
        ).one_or_none()
        if found is None or not _alive(found[0], found[1]):
            return None
        row, user = found
        memberships = tuple(
            Member(service_id, name, cast("Role", role))
            for service_id, name, role in session.execute(_MEMBERSHIPS, {"user_id": user.id})
        )
        lacks_factor = _must_have_factor(user, row) and not second_factor.is_on(session, user.id)
    if touch and moment - row.seen_at >= _SEEN_EVERY:
        with suppress(*OUTAGES), database.transaction() as session:
            session.execute(update(PortalSession).where(PortalSession.id == row.id).values(seen_at=moment))
    return Viewer(user.id, user.email, user.platform_admin, memberships, user.last_service_id, lacks_factor)


def owner(database: Database, value: str) -> int | None:
    """Return whose session a cookie's value was, as long as it is kept; being known does not let anybody in."""
    with database.read() as session:
        found = select(PortalSession.user_id).where(PortalSession.digest.in_(keyring.digests(_PURPOSE, value)))
        return session.scalars(found).one_or_none()


def remember_service(database: Database, viewer: Viewer, service_id: int) -> None:
    """Keep which service a person saw last, to which the portal's first page leads, if the database takes it."""
    if viewer.last != service_id:
        with suppress(*OUTAGES), database.transaction() as session:
            session.execute(update(User).where(User.id == viewer.user_id).values(last_service_id=service_id))


def end(session: Session, value: str) -> None:
    """End the session of a cookie's value; one that is over already stays over."""
    session.execute(delete(PortalSession).where(PortalSession.digest.in_(keyring.digests(_PURPOSE, value))))


def of_user(session: Session, user_id: int, value: str) -> list[Signed]:
    """List the browsers that somebody is signed in with, the one seen last first; ``value`` is the asking one's."""
    here = set(keyring.digests(_PURPOSE, value))
    wanted = select(PortalSession).where(PortalSession.user_id == user_id, ~_over(clock.now()))
    rows = session.scalars(wanted.order_by(PortalSession.seen_at.desc(), PortalSession.id.desc()))
    return [Signed(one.id, one.browser, one.created_at, one.seen_at, one.digest in here) for one in rows]


def end_of_user(session: Session, user_id: int, session_id: int) -> str | None:
    """End one of somebody's sessions; return the browser's name, or None if it was over already."""
    ended = delete(PortalSession).where(PortalSession.user_id == user_id, PortalSession.id == session_id)
    return session.scalar(ended.returning(PortalSession.browser))


def end_others(session: Session, user_id: int, value: str) -> int:
    """End every session of somebody's but that of a cookie's value; return how many there were."""
    others = PortalSession.digest.not_in(keyring.digests(_PURPOSE, value))
    ended = delete(PortalSession).where(PortalSession.user_id == user_id, others).returning(PortalSession.id)
    return len(session.scalars(ended).all())


def purge_over(session: Session) -> None:
    """Delete every session that is over by idleness or age."""
    session.execute(delete(PortalSession).where(_over(clock.now())))


def _over(moment: datetime) -> ColumnElement[bool]:
    return (PortalSession.seen_at <= moment - IDLE) | (PortalSession.created_at <= moment - ABSOLUTE)


def _must_have_factor(user: User, row: PortalSession) -> bool:
    """Whoever runs an installation in production signs in with more than a password, here or at the provider."""
    return user.platform_admin and not row.by_provider and settings.current().env == "production"


def _alive(row: PortalSession, user: User) -> bool:
    moment = clock.now()
    changed = user.password_changed_at
    return (
        user.active
        and moment - row.seen_at < IDLE
        and moment - row.created_at < ABSOLUTE
        and (changed is None or changed <= row.created_at)
    )


def _digest(value: str) -> str:
    return keyring.digest(_PURPOSE, value)
