"""Organisations, under which services are grouped: listed, made, renamed, and what belongs to them."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.accounts.services import checked_name
from backend.db.models.accounts import Organisation, Service
from backend.lib.problems import Problem

_KIND = "organisation"


class Listed(msgspec.Struct, frozen=True):
    """An organisation with the number of its services."""

    id: int
    name: str
    services: int


def listed(session: Session) -> list[Listed]:
    """List the organisations by name."""
    rows = session.execute(
        select(Organisation.id, Organisation.name, func.count(Service.id))
        .outerjoin(Service, Service.organisation_id == Organisation.id)
        .group_by(Organisation.id, Organisation.name)
        .order_by(Organisation.name)
    )
    return [Listed(organisation_id, name, services) for organisation_id, name, services in rows]


def names(session: Session) -> dict[int, str]:
    """Return the organisations' names by their ids."""
    return dict(session.execute(select(Organisation.id, Organisation.name)).all())


def get(session: Session, organisation_id: int) -> Organisation:
    """Return an organisation.

    Raises:
        Problem: ``not_found``.
    """
    found = session.get(Organisation, organisation_id)
    if found is None:
        raise Problem("not_found", "There is no such organisation.")
    return found


def create(session: Session, name: str) -> Organisation:
    """Make an organisation.

    Raises:
        Problem: ``name_taken``, or ``invalid_value`` for a name that is empty or longer than 160 characters.
    """
    made = Organisation(name=_free(session, name))
    session.add(made)
    session.flush()
    return made


def rename(session: Session, organisation: Organisation, name: str) -> str:
    """Give an organisation another name, and return the former one.

    Raises:
        Problem: ``name_taken``, or ``invalid_value``.
    """
    former, organisation.name = organisation.name, _free(session, name, organisation.id)
    return former


def services_of(session: Session, organisation_id: int) -> Sequence[Service]:
    """List an organisation's services by name."""
    return session.scalars(
        select(Service).where(Service.organisation_id == organisation_id).order_by(Service.name)
    ).all()


def _free(session: Session, name: str, own: int | None = None) -> str:
    trimmed = checked_name(name, _KIND)
    other = session.scalar(select(Organisation.id).where(Organisation.name == trimmed))
    if other is not None and other != own:
        raise Problem("name_taken", f"There is an organisation named {trimmed} already.")
    return trimmed
