"""A service whose notifications are searched for."""

from uuid import UUID

import pytest
from sqlalchemy import select

from backend.db.database import Database
from backend.db.models.notifications import Notification
from backend.search import fill, pages, query
from backend.search.pages import Hits, Search
from tests.portal.desk import Desk, desk


def gathered(database: Database) -> None:
    """Fill the index until nothing is left to do."""
    for _ in range(50):
        if fill.some(database).is_idle:
            return
    raise AssertionError("The index does not come to an end")


class Seeker:
    """Searches among the notifications of a desk, once all of them are in the index."""

    def __init__(self, at: Desk) -> None:
        self.at = at
        self.database = at.lab.database

    def hits(self, text: str | None = None, address: str | None = None, size: int = 50) -> Hits:
        with self.database.read() as session:
            wanted = Search(self.at.lab.service_id, query.read(text, address))
            return pages.page(session, wanted, before=None, size=size)

    def found(self, text: str | None = None, address: str | None = None) -> list[UUID]:
        """Return the ids of what is found, newest first."""
        gathered(self.database)
        return self.uids(list(self.hits(text, address).matches))

    def uids(self, rows: list[int]) -> list[UUID]:
        with self.database.read() as session:
            by_row = dict(session.execute(select(Notification.id, Notification.uid)).all())
        return [by_row[row] for row in rows]

    def where(self, text: str) -> list[tuple[str, str | None, str]]:
        """Return where the one notification matches that is found: what, the field's name and what was hit."""
        gathered(self.database)
        (matches,) = self.hits(text).matches.values()
        return [(one.where, one.name, one.hit) for one in matches]


@pytest.fixture
def seeker(any_database: Database) -> Seeker:
    """Give a seeker at a service with a group of one mailbox, and one of two."""
    return Seeker(desk(any_database))
