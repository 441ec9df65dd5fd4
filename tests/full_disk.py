"""A disk that takes no more, without filling one: SQLite is told to let its file grow no further, or not to write."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from backend.db.database import Database

_SIZE = "PRAGMA max_page_count=1073741823"
_ENDINGS = {"full": _SIZE, "read only": "PRAGMA query_only=OFF"}
STATES = tuple(_ENDINGS)


def _pragma(connection: Any, state: str) -> str:
    """Say how a state is brought about; a file that may not grow fails amid a statement, as full disks do."""
    if state == "full":
        return f"PRAGMA max_page_count={connection.execute('PRAGMA page_count').fetchone()[0]}"
    return "PRAGMA query_only=ON"


class Disk:
    """The disk of a SQLite database; every connection of this process feels its state, at once."""

    def __init__(self, database: Database) -> None:
        self._state: str | None = None
        self._connections: list[Any] = []
        database.close()
        event.listen(database.engine, "connect", self._opened)
        event.listen(database.engine, "close", self._closed)

    def fill(self, state: str = "read only") -> None:
        """Take no more from now on."""
        self._state = state
        for connection in self._connections:
            connection.execute(_pragma(connection, state))

    def free_up(self) -> None:
        """Take everything again."""
        for connection in self._connections:
            connection.execute(_ENDINGS[self._state or STATES[0]])
        self._state = None

    @contextmanager
    def filled(self, state: str) -> Iterator[None]:
        """Take no more for as long as the block lasts."""
        self.fill(state)
        yield
        self.free_up()

    def _opened(self, connection: Any, _record: object) -> None:
        self._connections.append(connection)
        if self._state is not None:
            connection.execute(_pragma(connection, self._state))

    def _closed(self, connection: Any, _record: object) -> None:
        self._connections.remove(connection)
