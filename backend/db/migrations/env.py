"""Alembic's environment: one connection, handed over by ``backend.db.alembic_steps``."""

from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext

from backend.db import tables

# How the types that a migration file imports are written in it.
_NAMES = {
    "DateTimeUTC": "DateTimeUTC(timezone=True)",
    "GUID": "GUID()",
    "JSON": "JsonB",
    "BigInteger": "BigIntIdentity",
}


def render_item(kind: str, item: object, _context: AutogenContext) -> str | Literal[False]:
    """Write a column's type by its imported name; False leaves the rest to Alembic."""
    return _NAMES.get(type(item).__name__, False) if kind == "type" else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata(),
    render_as_batch=True,
    render_item=render_item,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
