"""What shows that a large notification is not finished, without counting all that it consists of.

While one of its deliveries is to be sent, a notification is dispatched, whatever becomes of the others. Which one that
was when it was last looked at is remembered here: as long as the database says so still, thousands of others that are
finished one after the other cost a look at one row each.
"""

import threading
from collections.abc import Collection, Mapping

# A smaller notification is quickly counted.
LARGE = 20
_MOST = 1_000


class UnfinishedCache:
    """Remembers for this process, by a notification's row, the row that showed last that it is not finished."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[int, int] = {}

    def of(self, notification_ids: Collection[int] | None = None) -> list[int]:
        """Return what is known of these notifications, or of all."""
        with self._lock:
            if notification_ids is None:
                return list(self._rows.values())
            return [self._rows[one] for one in notification_ids if one in self._rows]

    def learn(self, found: Mapping[int, int]) -> None:
        """Remember what was found for each notification; what was learnt first is forgotten when there is too much."""
        with self._lock:
            for notification_id, row in found.items():
                self._rows.pop(notification_id, None)
                self._rows[notification_id] = row
            while len(self._rows) > _MOST:
                del self._rows[next(iter(self._rows))]
