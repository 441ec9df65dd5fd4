"""Queues before addresses with a pace: when a message that has to wait should come back."""

import threading
from datetime import datetime, timedelta

from backend.db.models.notifications import Priority
from backend.lib import clock

_MANY = 10_000


class Tails:
    """The ends of the queues as this process knows them.

    Messages that wait for one address come back one after the other, not all at each of its turns. It is only a
    guess at when: whose turn it is, the state in the database decides.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tails: dict[tuple[str, str], datetime] = {}

    def after(self, place: tuple[str, str], priority: int, free: datetime, pace: float) -> datetime:
        """Return when to come back to an address that is ``free`` again then; HIGH comes back at once then."""
        if priority == Priority.HIGH:
            return free
        with self._lock:
            if len(self._tails) > _MANY:
                now = clock.now()
                self._tails = {key: tail for key, tail in self._tails.items() if tail > now}
            back = max(self._tails.get(place, free), free)
            self._tails[place] = back + timedelta(seconds=pace)
            return back
