"""Statements that have to be spelled with care for one database or the other."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, bindparam
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from backend.db.types import Numbers

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


class listed(FunctionElement[bool]):  # noqa: N801 - used like a function
    """Tell whether a column of whole numbers is one of the list that is bound to a name, as a single parameter.

    So the statement is the same for lists of every length: it is written, read and planned once. ``in_`` with
    hundreds of parameters cost the program and PostgreSQL as much again as what it asked for.
    """

    inherit_cache = True  # and no type: SQLite would be asked whether a Boolean is 1, and take no index

    def __init__(self, column: ColumnElement[int], name: str) -> None:
        super().__init__(column, bindparam(name, type_=Numbers()))


@compiles(listed)
def _in_array(element: listed, compiler: SQLCompiler, **options: Any) -> str:
    column, numbers = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY ({numbers})"


@compiles(listed, "sqlite")
def _in_json(element: listed, compiler: SQLCompiler, **options: Any) -> str:
    column, numbers = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({numbers}))"  # noqa: S608
