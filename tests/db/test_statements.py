"""Lists as one parameter: they find what they name, whatever their length, by the index."""

from collections.abc import Collection
from typing import Any, cast

import pytest
from sqlalchemy import Table, select
from sqlalchemy.dialects import sqlite

from backend.db.database import Database
from backend.db.models.accounts import Organisation
from backend.db.statements import listed

_organisations = cast("Table", Organisation.__table__)
_NAMES = select(_organisations.c.name).where(listed(_organisations.c.id, "ids"), _organisations.c.name != "B")


@pytest.mark.parametrize(
    ("ids", "found"), [((), []), ([3], ["C"]), ({1, 2, 3}, ["A", "C"]), (range(1, 40_000), ["A", "C"])]
)
def test_a_list_of_any_length_names_rows(each_database: Database, ids: Collection[int], found: list[str]) -> None:
    with each_database.transaction() as session:
        session.add_all([Organisation(id=position, name=name) for position, name in enumerate("ABC", start=1)])
    with each_database.read() as session:
        assert sorted(session.scalars(_NAMES, {"ids": ids})) == found


def test_a_list_is_looked_up_by_the_index(database: Database) -> None:
    text = str(_NAMES.compile(dialect=sqlite.dialect()))
    with database.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        (plan, *_) = raw.execute(f"EXPLAIN QUERY PLAN {text}", ("[1]", "B")).fetchall()
    assert plan[3] == "SEARCH organisations USING INTEGER PRIMARY KEY (rowid=?)"
