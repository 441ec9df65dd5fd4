"""The one way to ask the index: which notifications of a service have all the words, newest first.

A look costs about the same however many notifications there are, and however common the words: it stops at so many
that it has found, or has gone through, and says how far it came.
"""

from collections.abc import Collection

from sqlalchemy.orm import Session

from backend.search import on_postgresql, on_sqlite
from backend.search.found import Found
from backend.search.query import Query


def find(session: Session, service_id: int, query: Query, *, before: int | None, page: int) -> Found:
    """Find the notifications of a service that may have what is looked for, behind the row ``before``.

    ``page`` is how many are wanted at least, if there are so many. What is found has all the words, yet not for
    certain beside each other: the caller compares. What was accepted in the last second may be missing.
    """
    if query.is_empty:
        return Found([])
    if session.get_bind().dialect.name == "sqlite":
        return on_sqlite.find(session, service_id, query, before, page)
    return on_postgresql.find(session, service_id, query, before, page)


def having(session: Session, query: Query, rows: Collection[int]) -> set[int]:
    """Return those of these notifications whose words are all that is looked for."""
    if not rows:
        return set()
    if session.get_bind().dialect.name == "sqlite":
        return on_sqlite.having(session, query, rows)
    return on_postgresql.having(session, query, rows)
