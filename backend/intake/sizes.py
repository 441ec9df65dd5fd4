"""How much one group stores, so that nobody waits long for what others store."""

from collections.abc import Sequence

from backend.db.models.notifications import Priority
from backend.intake import store
from backend.intake.content import Content
from backend.intake.entries import Entry
from backend.intake.judge import Plan
from backend.lib.problems import Problem

# Rows of one transaction: some thirty milliseconds of work.
_ROWS = 1_000
# To join a batch takes as long as to store so many deliveries.
_ROWS_OF_A_PLACE = 20


class Portion:
    """What one group stores: small notifications up to a number of rows, and one large one.

    A large one does not make a group wait that has something urgent, unless it has waited itself.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._left = _ROWS
        self._has_large = False
        self._urgent = any(entry.share.urgent for entry in entries)

    def takes(self, entry: Entry, verdict: Plan | Problem) -> bool:
        """Tell whether a judged notification is stored in this group."""
        rows = _rows(entry, verdict)
        if rows > _ROWS:
            if self._has_large or (self._urgent and not entry.share.urgent and entry.rounds == 1):
                return False
            self._has_large = True
            return True
        self._left -= rows
        return self._left >= 0


def _rows(entry: Entry, verdict: Plan | Problem) -> int:
    if isinstance(verdict, Problem) or not isinstance(entry.content, Content):
        return 1
    each = _ROWS_OF_A_PLACE if store.priority(entry.content) is Priority.BATCH else 1
    return sum(store.messages(entry.content, verdict).values()) * each
