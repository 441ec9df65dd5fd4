"""Statements that SQLAlchemy spells differently for each database."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

Insert = postgresql.Insert | sqlite.Insert


def insert(session: Session, model: type[Any]) -> Insert:
    """Begin an INSERT that can say ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    return for_dialect(session.get_bind().dialect.name, model)


def for_dialect(name: str, target: Any) -> Insert:
    """Begin such an INSERT into a mapped class or table, for the database of this name."""
    return postgresql.insert(target) if name == "postgresql" else sqlite.insert(target)
