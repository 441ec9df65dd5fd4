"""Recipient groups: a name and the endpoints that reach it, replaced as a whole by every PUT."""

from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate

import msgspec
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked, normalise
from backend.channels.base import Channel
from backend.channels.records import OPEN
from backend.db.models.registry import Endpoint, Recipient
from backend.lib import clock, pointers
from backend.lib.problems import FieldError, Problem, if_found
from backend.lib.strict_json import MAX_ERRORS
from backend.registry.lookup import Address
from backend.registry.owned import OwnedRepository, check_identifier

_MASK = "…"
_LISTED_ENDPOINTS = 2_000
_ENDPOINTS = select(func.count(Endpoint.id)).where(Endpoint.recipient_id == Recipient.id).scalar_subquery()
_OPENLY_HELD = select(Endpoint.id).where(Endpoint.recipient_id == Recipient.id, Endpoint.type.in_(OPEN))


class RecipientRecord(msgspec.Struct, frozen=True):
    """A registered recipient group; moments are in UTC, endpoints in the order in which they were given.

    ``language`` is the tag of the one that it reads, where that is known.
    """

    identifier: str
    name: str
    endpoints: tuple[Address, ...]
    created_at: datetime
    updated_at: datetime
    language: str | None = None


class _Recipients(OwnedRepository[Recipient]):
    model_type = Recipient


def put(  # noqa: PLR0913, PLR0917 - what a recipient is
    session: Session,
    service_id: int,
    identifier: str,
    name: str,
    endpoints: Sequence[Address],
    language: str | None = None,
) -> tuple[RecipientRecord, bool]:
    """Store a recipient and tell whether it is new; one that was deleted is new again.

    ``endpoints`` are in canonical form, as ``canonical_endpoints`` returns them. The same content again changes
    nothing.

    Raises:
        Problem: ``invalid_identifier``, or ``identifier_taken`` when another service owns the identifier.
    """
    now = clock.now()
    new = Recipient(identifier=check_identifier(identifier), service_id=service_id, name=name, language=language)
    new.created_at = new.updated_at = now
    new.endpoints = _rows([], endpoints)
    row, inserted = _Recipients(session=session).claim(new)
    revived = row.deleted_at is not None
    if not inserted and (revived or _differs(row, name, endpoints, language)):
        row.name, row.language = name, language
        row.endpoints = _rows(row.endpoints, endpoints)
        row.updated_at = now
        row.deleted_at = None
        session.flush()
    return _record(row), inserted or revived


def get(session: Session, service_id: int, identifier: str) -> RecipientRecord:
    """Return one recipient of the service.

    Raises:
        Problem: ``invalid_identifier``, or ``not_found``, also for what another service owns.
    """
    return _record(_Recipients(session=session).live(service_id, check_identifier(identifier)))


def present(session: Session, service_id: int, identifier: str) -> RecipientRecord | None:
    """Return one recipient of the service, or None if it has none of this identifier.

    Raises:
        Problem: ``invalid_identifier``.
    """
    return if_found(lambda: get(session, service_id, identifier))


def listed(
    session: Session, service_id: int, limit: int, after: str | None = None, text: str = ""
) -> tuple[list[RecipientRecord], bool]:
    """Return those behind ``after`` whose identifier, name or address holds ``text`` in any case; are there more?

    There are at most ``limit``, and no more than have 2,000 endpoints together. Addresses that are secrets are not
    searched: they would be found out bit by bit.
    """
    own = [Recipient.service_id == service_id, Recipient.deleted_at.is_(None)]
    wanted = text.strip().lower()
    if wanted:
        found = _OPENLY_HELD.where(func.lower(Endpoint.address).contains(wanted, autoescape=True)).exists()
        named = [
            func.lower(column).contains(wanted, autoescape=True) for column in (Recipient.identifier, Recipient.name)
        ]
        own.append(or_(*named, found))
    if after is not None:
        own.append(Recipient.identifier > after)
    sized = select(Recipient.id, _ENDPOINTS).where(*own).order_by(Recipient.identifier).limit(limit + 1)
    behind = list(session.execute(sized))
    fitting = _fitting([size for _, size in behind[:limit]])
    chosen = select(Recipient).where(Recipient.id.in_([identity for identity, _ in behind[:fitting]]))
    rows = session.scalars(chosen.order_by(Recipient.identifier))
    return [_record(row) for row in rows], len(behind) > fitting


def _fitting(sizes: Sequence[int]) -> int:
    """Return how many of the first stay within what is listed at once; the first does in any case."""
    sums = accumulate(sizes)
    return max(min(1, len(sizes)), sum(total <= _LISTED_ENDPOINTS for total in sums))


def delete(session: Session, service_id: int, identifier: str) -> None:
    """Delete a recipient; its identifier stays the service's, and putting it again revives it.

    Raises:
        Problem: ``invalid_identifier`` or ``not_found``.
    """
    row = _Recipients(session=session).live(service_id, check_identifier(identifier), lock=True)
    row.deleted_at = row.updated_at = clock.now()


def unmasked(session: Session, service_id: int, identifier: str, given: Sequence[Address]) -> list[Address]:
    """Return the endpoints with the stored address where one was given as the registry shows it, masked.

    What two stored addresses have in common stands for neither.
    """
    if not any(_MASK in one.address for one in given):
        return list(given)
    own = (Recipient.service_id == service_id, Recipient.deleted_at.is_(None))
    row = _Recipients(session=session).get_one_or_none(*own, identifier=identifier)
    stored: dict[Address, list[Address]] = {}
    for one in _addresses(row) if row is not None else ():
        stored.setdefault(Address(one.type, masked(one.type, one.address)), []).append(one)
    return [found[0] if len(found := stored.get(one, [])) == 1 else one for one in given]


def canonical_endpoints(given: Sequence[Address], allow: Sequence[str] = ()) -> list[Address]:
    """Return the endpoints in the canonical form of their channels.

    ``allow`` lists the ``host:port`` pairs that webhook addresses may name besides the vendors' own.

    Raises:
        Problem: ``invalid_address`` with an error for each faulty or doubled endpoint, at most 50.
    """
    faults: list[FieldError] = []
    found: dict[Address, int] = {}
    for index, endpoint in enumerate(given):
        pointer = f"/endpoints/{index}/address"
        try:
            address = normalise(Channel(endpoint.type), endpoint.address, allow)
        except Problem as problem:
            faults.append(FieldError(pointer, problem.code, problem.detail))
            continue
        first = found.setdefault(Address(endpoint.type, address), index)
        if first != index:
            detail = f"This endpoint is the same as the {pointers.ordinal(first)} one; give each endpoint once."
            faults.append(FieldError(pointer, "invalid_address", detail))
    if faults:
        raise _refusal(faults)
    return list(found)


def _refusal(faults: list[FieldError]) -> Problem:
    others = "" if len(faults) == 1 else f" (and {len(faults) - 1} more)"
    detail = f"At {pointers.in_words(faults[0].pointer)}{others}: {faults[0].detail}"
    return Problem("invalid_address", detail, errors=faults[:MAX_ERRORS])


def _differs(row: Recipient, name: str, endpoints: Sequence[Address], language: str | None) -> bool:
    return (row.name, row.language, _addresses(row)) != (name, language, tuple(endpoints))


def _rows(present: Sequence[Endpoint], wanted: Sequence[Address]) -> list[Endpoint]:
    """Keep the rows of endpoints that stay: inserts come before deletes, and would meet their unique constraint."""
    kept = {Address(row.type, row.address): row for row in present}
    rows = [kept.get(endpoint) or Endpoint(type=endpoint.type, address=endpoint.address) for endpoint in wanted]
    for position, row in enumerate(rows):
        row.position = position
    return rows


def _addresses(row: Recipient) -> tuple[Address, ...]:
    return tuple(Address(endpoint.type, endpoint.address) for endpoint in row.endpoints)


def _record(row: Recipient) -> RecipientRecord:
    return RecipientRecord(row.identifier, row.name, _addresses(row), row.created_at, row.updated_at, row.language)
