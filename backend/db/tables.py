"""Every table there is, from the models, in an order in which each comes after those that it refers to."""

from importlib import import_module
from pkgutil import iter_modules

from advanced_alchemy.base import orm_registry
from sqlalchemy import MetaData, Table

from backend.db import models

# Imported for their tables.
for _module in iter_modules(models.__path__):
    import_module(f"{models.__name__}.{_module.name}")


def metadata() -> MetaData:
    """Return what all tables are declared in."""
    return orm_registry.metadata


def in_order() -> list[Table]:
    """Return the tables, those that others refer to first."""
    return orm_registry.metadata.sorted_tables


def is_derived(name: str) -> bool:
    """Tell whether a table belongs to the index of words, which is gathered anew from all others."""
    return name.startswith("search_")
