"""Policies: steps that a team keeps under an identifier, for notifications that only name it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.obligations import Policy
from backend.lib import clock
from backend.registry.owned import OwnedRepository


class PolicyContent(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy says; ``steps`` are objects of ``after`` and ``channels``, as the API takes them."""

    name: str
    until: str
    steps: list[dict[str, Any]]
    at_last: str = "worklist"


class PolicyRecord(PolicyContent, frozen=True, kw_only=True):
    """A stored policy."""

    identifier: str
    updated_at: datetime


class _Policies(OwnedRepository[Policy]):
    model_type = Policy


def put(session: Session, service_id: int, identifier: str, content: PolicyContent) -> tuple[PolicyRecord, bool, bool]:
    """Store a policy as a whole; tell whether it is new, and whether anything has changed.

    Raises:
        Problem: ``identifier_taken``.
    """
    now = clock.now()
    values = msgspec.structs.asdict(content)
    row, is_new = _Policies(session=session).claim(
        Policy(identifier=identifier, service_id=service_id, updated_at=now, deleted_at=None, **values)
    )
    created = is_new or row.deleted_at is not None
    changed = created or any(getattr(row, name) != value for name, value in values.items())
    if changed:
        for name, value in values.items():
            setattr(row, name, value)
        row.updated_at, row.deleted_at = now, None
        session.flush()
    return _record(row), created, changed


def get(session: Session, service_id: int, identifier: str) -> PolicyRecord:
    """Return a service's policy.

    Raises:
        Problem: ``not_found``.
    """
    return _record(_Policies(session=session).live(service_id, identifier))


def delete(session: Session, service_id: int, identifier: str) -> None:
    """Delete a policy, whose identifier stays reserved; what was sent by it goes on.

    Raises:
        Problem: ``not_found``.
    """
    row = _Policies(session=session).live(service_id, identifier, lock=True)
    row.deleted_at = clock.now()
    session.flush()


def page(session: Session, service_id: int, limit: int, after: str | None = None) -> list[PolicyRecord]:
    """Return the service's policies in order of identifier."""
    return [_record(row) for row in _Policies(session=session).page(service_id, limit, after)]


def named(session: Session, wanted: Collection[tuple[int, str]]) -> Mapping[tuple[int, str], PolicyRecord]:
    """Return those policies that there are, by service and identifier."""
    identifiers = sorted({identifier for _, identifier in wanted})
    rows = session.scalars(select(Policy).where(Policy.identifier.in_(identifiers), Policy.deleted_at.is_(None)))
    return {
        (row.service_id, row.identifier): _record(row) for row in rows if (row.service_id, row.identifier) in wanted
    }


def _record(row: Policy) -> PolicyRecord:
    return PolicyRecord(
        identifier=row.identifier,
        name=row.name,
        until=row.until,
        at_last=row.at_last,
        steps=row.steps,
        updated_at=row.updated_at,
    )
