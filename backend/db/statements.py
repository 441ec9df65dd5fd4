"""Statements that have to be spelled with care for one database or the other."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

Insert = postgresql.Insert | sqlite.Insert


def insert(session: Session, model: type[Any]) -> Insert:
    """Begin an INSERT that can say ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    return for_dialect(session.get_bind().dialect.name, model)


def for_dialect(name: str, target: Any) -> Insert:
    """Begin such an INSERT into a mapped class or table, for the database of this name."""
    return postgresql.insert(target) if name == "postgresql" else sqlite.insert(target)


def one_of(column: Any, statuses: Iterable[StrEnum]) -> ColumnElement[bool]:
    """Compare a column with statuses that are written into the statement itself.

    SQLite takes a partial index only where it sees, before any parameter is bound, that the index's rows suffice.
    """
    values = [status.value for status in statuses]
    found: ColumnElement[bool] = column.in_(
        bindparam("one_of", values, unique=True, expanding=True, literal_execute=True)
    )
    return found
