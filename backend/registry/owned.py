"""What recipients, templates and policies share: identifiers unique in the installation, each owned by one service."""

import re
from collections.abc import Sequence
from typing import TypeVar, cast

from advanced_alchemy.exceptions import DuplicateKeyError
from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemySyncRepository
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.db.models.accounts import Service
from backend.db.models.obligations import Policy
from backend.db.models.registry import Recipient, Template
from backend.lib.problems import Problem

PATTERN = "^[A-Z][A-Z0-9_]{2,63}$"
_IDENTIFIER = re.compile(r"[A-Z][A-Z0-9_]{2,63}", re.ASCII)
# What Carillon itself says to people is made with templates that begin so.
_CARILLON_S_OWN = "CARILLON_"

Owned = TypeVar("Owned", Recipient, Template, Policy)


def is_identifier(text: str) -> bool:
    """Tell whether a text has the form of an identifier."""
    return _IDENTIFIER.fullmatch(text) is not None


def check_identifier(identifier: str) -> str:
    """Return the identifier.

    Raises:
        Problem: ``invalid_identifier``.
    """
    if not is_identifier(identifier):
        raise Problem(
            "invalid_identifier",
            "The identifier must be 3 to 64 capital letters A-Z, digits and underscores, beginning with a letter.",
        )
    return identifier


def _check_name(session: Session, service_id: int, identifier: str) -> None:
    """See that a service takes none of the names that are Carillon's own.

    Raises:
        Problem: ``invalid_identifier``.
    """
    if identifier.startswith(_CARILLON_S_OWN) and not session.get_one(Service, service_id).built_in:
        raise Problem(
            "invalid_identifier",
            f"Identifiers that begin with {_CARILLON_S_OWN} are for Carillon's own messages. Take another one.",
        )


def check_free(session: Session, model: type[Recipient | Template], service_id: int, identifier: str) -> None:
    """See that a service may take an identifier, or has it.

    Raises:
        Problem: ``identifier_taken`` by another service, or ``invalid_identifier`` for one of Carillon's own.
    """
    owner = session.scalar(select(model.service_id).where(model.identifier == identifier))
    if owner is None:
        _check_name(session, service_id, identifier)
    if owner not in {None, service_id}:
        raise Problem("identifier_taken", f"{identifier} belongs to another service.")


class OwnedRepository(SQLAlchemySyncRepository[Owned]):
    """Rows with ``identifier``, ``service_id`` and ``deleted_at``; a deleted row keeps its identifier taken."""

    def live(self, service_id: int, identifier: str, *, lock: bool = False) -> Owned:
        """Return the service's row; ``lock`` keeps it from other writers until the transaction ends.

        Raises:
            Problem: ``not_found``, also for what another service owns.
        """
        model = self.model_type
        found = self.get_one_or_none(
            model.service_id == service_id,
            model.deleted_at.is_(None),
            identifier=identifier,
            with_for_update=True if lock else None,
        )
        if found is None:
            raise Problem("not_found", f"This service has no {model.__name__.lower()} {identifier}.")
        return found

    def claim(self, new: Owned) -> tuple[Owned, bool]:
        """Return the locked row of ``new.identifier`` and whether it is ``new``, inserted because there was none.

        The insert stands in a savepoint: when another writer comes first, it fails alone, and the other's row
        is validated instead.

        Raises:
            Problem: ``identifier_taken`` when another service owns the identifier, deleted or not, or
                ``invalid_identifier`` for a new one that is Carillon's own.
        """
        identifier, service_id = new.identifier, new.service_id
        row = self.get_one_or_none(identifier=identifier, with_for_update=True)
        if row is None:
            _check_name(cast("Session", self.session), service_id, identifier)
            try:
                with self.session.begin_nested():
                    return self.add(new), True
            except DuplicateKeyError:
                row = self.get_one(identifier=identifier, with_for_update=True)
        if row.service_id != service_id:
            raise Problem("identifier_taken", f"{identifier} belongs to another service.")
        return row, False

    def page(self, service_id: int, limit: int, after: str | None) -> Sequence[Owned]:
        """Return the service's rows in order of identifier, ``limit`` of them beginning behind ``after``."""
        model = self.model_type
        filters = [model.service_id == service_id, model.deleted_at.is_(None)]
        if after is not None:
            filters.append(model.identifier > after)
        return self.get_many(*filters, OrderBy("identifier"), LimitOffset(limit, 0))
