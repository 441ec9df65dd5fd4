"""Queues before addresses with a least interval: when a message that has to wait should come back."""

import random
import threading
from datetime import datetime, timedelta

from backend.db.models.notifications import Priority
from backend.lib import clock

_MANY = 10_000


class PacingQueues:
    """The ends of the queues as this process knows them.

    Messages that wait for one address come back one after the other, not all at each of its turns. It is only a
    guess at when: whose turn it is, the state in the database decides.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pacing: dict[tuple[str, str], datetime] = {}
        self._refused: dict[tuple[str, int], None] = {}

    def after(
        self,
        destination: tuple[str, str],
        priority: int,
        free: datetime,
        interval: float,
        farthest: timedelta | None = None,
    ) -> datetime:
        """Return when to come back to an address that is ``free`` again then; HIGH comes back at once then.

        Nobody comes back later than ``farthest`` behind that; those for whom the queue is too long come spread.
        """
        if priority == Priority.HIGH:
            return free
        with self._lock:
            if len(self._pacing) > _MANY:
                now = clock.now()
                self._pacing = {key: tail for key, tail in self._pacing.items() if tail > now}
            back = max(self._pacing.get(destination, free), free)
            tail = back + timedelta(seconds=interval)
            if farthest is None or tail <= free + farthest:
                self._pacing[destination] = tail
                return back
            # Who comes back in vain joins the end again: it must not run away from those who are served.
            self._pacing[destination] = free + farthest
            return free + random.random() * farthest  # noqa: S311 - no secret

    def was_refused(self, provider: str, delivery: int) -> bool:
        """Note that a provider refused a delivery as one too many; tell whether it is known to have done so before."""
        with self._lock:
            before = (provider, delivery) in self._refused
            self._refused[provider, delivery] = None
            if len(self._refused) > _MANY:
                del self._refused[next(iter(self._refused))]
            return before
