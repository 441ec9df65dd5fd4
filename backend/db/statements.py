"""Statements that SQLAlchemy spells differently for each database."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

Insert = postgresql.Insert | sqlite.Insert


def insert(session: Session, model: type[Any]) -> Insert:
    """Begin an INSERT that can say ``on_conflict_do_nothing`` and ``on_conflict_do_update``."""
    name = session.get_bind().dialect.name
    return postgresql.insert(model) if name == "postgresql" else sqlite.insert(model)
