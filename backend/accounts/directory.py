"""Services and users as the alpha's administrators read and change them: by number, each change audited."""

from collections.abc import Collection
from datetime import date, datetime

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.accounts import audit, service_tokens, services, users
from backend.accounts.audit import Actor
from backend.db.models.accounts import Membership, Organisation, Service, ServiceToken, User
from backend.db.models.notifications import Usage
from backend.lib import clock

TRIAL_LIMIT = 100  # messages a day of a service that the alpha's clients create


class ServiceEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A service; ``limit`` counts messages a day. The token's text is left out of the representation."""

    id: int
    name: str
    created_at: datetime
    active: bool
    restricted: bool
    limit: int
    token_id: int | None
    token: str | None

    def __repr__(self) -> str:
        return f"ServiceEntry(id={self.id}, name={self.name!r})"


class DayUsage(msgspec.Struct, frozen=True):
    """How many messages a service was accepted on a day; ``id`` is that of the day's first row."""

    id: int
    day: date
    count: int


def entry(session: Session, service: Service) -> ServiceEntry:
    """Describe a service with its newest token, if it can still be read."""
    row = service_tokens.of_service(session, service.id)
    return ServiceEntry(
        id=service.id,
        name=service.name,
        created_at=service.created_at,
        active=service.active,
        restricted=not service.live,
        limit=services.daily_limit(service),
        token_id=row.id if row else None,
        token=_revealed(row) if row else None,
    )


def _revealed(row: ServiceToken) -> str | None:
    try:
        return service_tokens.reveal(row)
    except ValueError:
        return None


def create_service(session: Session, name: str, user: User, by: Actor) -> Service:
    """Create a service on trial with a token, whose first administrator is ``user``.

    Raises:
        Problem: ``name_taken`` or ``invalid_value``.
    """
    service = services.create_service(session, name, holds_clients=True, daily_limit=TRIAL_LIMIT)
    service_tokens.create(session, service, "client")
    users.give_role(session, user, service, "admin")
    audit.record(session, by, "service.created", service.name, service_id=service.id)
    return service


def change_service(session: Session, service: Service, by: Actor, **flags: bool) -> None:
    """Set ``active`` or ``live``; one that is put on trial holds its API clients to its team too."""
    if flags.get("live") is False:
        flags["holds_clients"] = True
    for name, value in flags.items():
        setattr(service, name, value)
    session.flush()
    audit.record(session, by, "service.changed", service.name, service_id=service.id, detail=dict(flags))


def services_of(session: Session, user: User) -> list[Service]:
    """List the services that a user may see, newest first; a platform administrator sees all."""
    wanted = select(Service).where(~Service.built_in).order_by(Service.created_at.desc(), Service.id.desc())
    if not user.platform_admin:
        own = select(Membership.service_id).where(Membership.user_id == user.id)
        wanted = wanted.where(Service.id.in_(own))
    return list(session.scalars(wanted))


def users_of(session: Session, service: Service) -> list[User]:
    """List a service's users by number."""
    members = select(Membership.user_id).where(Membership.service_id == service.id)
    return list(session.scalars(select(User).where(User.id.in_(members)).order_by(User.id)))


def add_user(session: Session, service: Service, user: User, by: Actor) -> None:
    """Make a user an administrator of a service; whoever is in it keeps their role."""
    if user.id not in _ids(users_of(session, service)):
        users.give_role(session, user, service, "admin")
        audit.record(session, by, "member.added", user.email, service_id=service.id)


def remove_user(session: Session, service: Service, user: User, by: Actor) -> None:
    """Take a user out of a service; whoever is not in it stays out."""
    wanted = (Membership.user_id == user.id, Membership.service_id == service.id)
    membership = session.scalar(select(Membership).where(*wanted))
    if membership is not None:
        session.delete(membership)
        session.flush()
        audit.record(session, by, "member.removed", user.email, service_id=service.id)


def create_user(session: Session, email: str, mobile: str, password: str, by: Actor) -> User:
    """Create a user who must be activated before they can sign in.

    Raises:
        Problem: ``name_taken``, ``invalid_address``, or ``invalid_value`` for the password.
    """
    user = users.create_user(session, email, password, mobile=mobile, active=False)
    audit.record(session, by, "user.created", user.email, service_id=None)
    return user


def activate_user(session: Session, user: User, by: Actor) -> None:
    """Let a user sign in, with no failure counted."""
    user.active = True
    user.failed_logins = 0
    user.updated_at = clock.now()
    session.flush()
    audit.record(session, by, "user.activated", user.email, service_id=None)


def user_by_id(session: Session, user_id: int) -> User | None:
    """Find a user by number."""
    return session.get(User, user_id)


def organisation_by_id(session: Session, organisation_id: int) -> Organisation | None:
    """Find an organisation by number."""
    return session.get(Organisation, organisation_id)


def usage_by_day(session: Session, service_id: int) -> list[DayUsage]:
    """List how much a service was accepted each day over all channels, newest first."""
    day = (func.min(Usage.id), Usage.day, func.sum(Usage.count))
    wanted = select(*day).where(Usage.service_id == service_id).group_by(Usage.day).order_by(Usage.day.desc())
    return [DayUsage(identity, at, int(count)) for identity, at, count in session.execute(wanted)]


def _ids(found: Collection[User]) -> set[int]:
    return {user.id for user in found}
