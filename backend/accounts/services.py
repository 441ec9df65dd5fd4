"""Services, the accounts of systems and teams, and the organisations that group them."""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Organisation, Service
from backend.lib import settings
from backend.lib.problems import Problem

MAX_NAME = 160


def create_service(  # noqa: PLR0913 - what a service is made of
    session: Session,
    name: str,
    *,
    organisation: str | None = None,
    live: bool = False,
    holds_clients: bool = False,
    daily_limit: int | None = None,
) -> Service:
    """Create a service, and the organisation too if there is none of that name.

    While it is on trial, it ``holds_clients`` to its team too, or lets them say by their modes whom they reach.
    ``daily_limit`` counts messages a day in UTC; None takes the installation's limit.

    Raises:
        Problem: ``name_taken``, or ``invalid_value`` for a name that is empty or longer than 160 characters.
    """
    name = checked_name(name, "service")
    if service_by_name(session, name) is not None:
        raise Problem("name_taken", f"There is a service named {name} already.")
    if daily_limit is not None and daily_limit < 0:
        raise Problem("invalid_value", "A daily limit is a whole number of messages, 0 or more.")
    group = None if organisation is None else _organisation(session, checked_name(organisation, "organisation"))
    service = Service(
        name=name,
        organisation_id=group.id if group else None,
        active=True,
        live=live,
        holds_clients=holds_clients,
        daily_limit=daily_limit,
    )
    session.add(service)
    session.flush()
    return service


def checked_name(name: str, kind: str) -> str:
    """Return the trimmed name of a service or an organisation, its ``kind``.

    Raises:
        Problem: ``invalid_value`` for a name that is empty, longer than 160 characters, or not printable.
    """
    trimmed = name.strip()
    if not 1 <= len(trimmed) <= MAX_NAME or not trimmed.isprintable():
        raise Problem("invalid_value", f"The name of a {kind} has 1 to {MAX_NAME} printable characters.")
    return trimmed


def _organisation(session: Session, name: str) -> Organisation:
    present = session.scalar(select(Organisation).where(Organisation.name == name))
    if present is None:
        present = Organisation(name=name)
        session.add(present)
        session.flush()
    return present


def service_by_name(session: Session, name: str) -> Service | None:
    """Find a service by its exact name."""
    return session.scalar(select(Service).where(Service.name == name))


def service_by_id(session: Session, service_id: int) -> Service | None:
    """Find a service by its id."""
    return session.get(Service, service_id)


def daily_limit(service: Service) -> int:
    """Return how many messages a day a service may send: its own limit, else the installation's."""
    return settings.current().daily_limit if service.daily_limit is None else service.daily_limit


def reachable(
    session: Session, reach: Collection[int] | None, *, search: str = "", first: int | None = None, limit: int
) -> Sequence[Service]:
    """List services by name: of ``reach`` (None: all), whose name holds ``search``; ``first`` comes first."""
    wanted = select(Service).order_by(Service.id != first, Service.name).limit(limit)
    if reach is not None:
        wanted = wanted.where(Service.id.in_(reach))
    if settings.current().env == "production":
        wanted = wanted.where(~Service.built_in)
    if search:
        wanted = wanted.where(Service.name.icontains(search, autoescape=True))
    return session.scalars(wanted).all()


def own_service(session: Session) -> Service:
    """Return the built-in service through which Carillon sends its own messages, made at its first use."""
    present = session.scalar(select(Service).where(Service.built_in))
    if present is None:
        name = "Carillon" if service_by_name(session, "Carillon") is None else "Carillon’s own messages"
        present = Service(name=name, active=True, live=True, built_in=True, organisation_id=None)
        session.add(present)
        session.flush()
    return present


def named_service(session: Session, name: str) -> Service:
    """Return the service of this name.

    Raises:
        Problem: ``not_found``.
    """
    service = service_by_name(session, name)
    if service is None:
        raise Problem("not_found", f"There is no service named {name}.")
    return service
