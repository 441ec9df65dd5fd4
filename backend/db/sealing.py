"""Secrets of the tables that are sealed by their column's type: how they are sealed anew after a change of key."""

from collections import Counter
from typing import Any

from sqlalchemy import Column, String, and_, not_, or_, select, type_coerce, update

from backend.db import tables
from backend.db.database import Database
from backend.db.types import Address
from backend.lib import keyring

_AT_ONCE = 500


def reseal_addresses(database: Database) -> dict[str, int]:
    """Seal every secret address under the present key, those that lie open too; return how many of each table.

    Addresses are all columns of the type ``Address``. Each transaction takes some rows; one that ends early is taken up
    by the next call. Safe while others write.

    Raises:
        ValueError: for an address that was sealed under a key that is not in use; nothing of its rows is changed.
    """
    counts: Counter[str] = Counter()
    for table in tables.in_order():
        for column in table.columns:
            if isinstance(column.type, Address):
                counts[table.name] += _reseal(database, column)
    return dict(counts)


def _reseal(database: Database, column: Column[Any]) -> int:
    table, count, last = column.table, 0, 0
    while True:
        with database.transaction() as session:
            rows = session.execute(_stale(column, last)).all()
            for identity, stored in rows:
                changed: Any = update(table).where(table.c.id == identity)
                changed = changed.where(type_coerce(column, String) == stored)
                session.execute(changed.values({column: keyring.unseal_address(stored)}))
        if not rows:
            return count
        count, last = count + len(rows), rows[-1][0]


def _stale(column: Column[Any], last: int) -> Any:
    table, stored = column.table, type_coerce(column, String)
    marked = stored.startswith(keyring.MARK, autoescape=True)
    present = stored.startswith(f"{keyring.MARK}{keyring.present_id()}.", autoescape=True)
    stale = or_(and_(marked, not_(present)), and_(not_(marked), stored.contains("://", autoescape=True)))
    return select(table.c.id, stored).where(table.c.id > last, stale).order_by(table.c.id).limit(_AT_ONCE)
