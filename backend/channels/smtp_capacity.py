"""How many sessions a mail server bears at once, and how many messages a second, for all threads of a process."""

import threading
import time
from time import monotonic

from backend.channels.base import Outcome, ProviderError
from backend.channels.smtp_session import Session


class Busy(ProviderError):
    """A message was not begun, since there is no room for it here: the mail server has not seen it.

    There may be room after ``seconds``, and then for another one every ``interval`` seconds.
    """

    def __init__(self, detail: str, seconds: float, interval: float) -> None:
        super().__init__(Outcome.THROTTLED, detail, retry_after=seconds)
        self.seconds = seconds
        self.interval = interval


class SessionSlots:
    """Slots for so many sessions. A session that nobody uses keeps its slot, and the next one gets both."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._idle: list[Session] = []
        self._changed = threading.Condition()

    def take(self, patience: float) -> tuple[bool, Session | None]:
        """Take a slot, waiting so many seconds for one; tell whether there was one, and the session in it, if any."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._idle or self._free, patience):
                return False, None
            if self._idle:
                return True, self._idle.pop()
            self._free -= 1
            return True, None

    def give(self, session: Session | None) -> None:
        """Give a slot back, with the session that is in it."""
        with self._changed:
            if session is None:
                self._free += 1
            else:
                self._idle.append(session)
            self._changed.notify()

    def close(self) -> None:
        """End the sessions that nobody uses."""
        with self._changed:
            idle, self._idle = self._idle, []
            self._free += len(idle)
            self._changed.notify_all()
        for session in idle:
            session.quit()


class MessageSpacing:
    """Moments at which a message may go, so many of them a second."""

    def __init__(self, rate: float) -> None:
        self.gap = 1.0 / rate
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, patience: float) -> float:
        """Wait for the next moment that nobody else has; return 0.

        If it comes after more than ``patience`` seconds, nothing is taken, and after how many it comes is returned.
        """
        with self._lock:
            now = monotonic()
            mine = max(now, self._next)
            if mine - now > patience:
                return mine - now
            self._next = mine + self.gap
        time.sleep(mine - now)
        return 0.0
