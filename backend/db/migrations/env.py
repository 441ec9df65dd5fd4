"""Alembic's environment: one connection, handed over by ``backend.db.migrate``."""

from importlib import import_module
from pkgutil import iter_modules
from typing import Literal

from advanced_alchemy.base import orm_registry
from alembic import context
from alembic.autogenerate.api import AutogenContext

from backend.db import models

# Imported for their tables, which Alembic compares the database with.
for module in iter_modules(models.__path__):
    import_module(f"{models.__name__}.{module.name}")

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
    target_metadata=orm_registry.metadata,
    render_as_batch=True,
    render_item=render_item,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
