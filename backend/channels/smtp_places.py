"""How many sessions a mail server bears at once, and how many messages a second, for all threads of a process."""

import threading
import time
from time import monotonic

from backend.channels.smtp_session import Session


class Places:
    """Places for so many sessions. A session that nobody uses keeps its place, and the next one gets both."""

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._idle: list[Session] = []
        self._changed = threading.Condition()

    def take(self, patience: float) -> tuple[bool, Session | None]:
        """Take a place, waiting so many seconds for one; tell whether there was one, and the session in it, if any."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._idle or self._free, patience):
                return False, None
            if self._idle:
                return True, self._idle.pop()
            self._free -= 1
            return True, None

    def give(self, session: Session | None) -> None:
        """Give a place back, with the session that is in it."""
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


class Turns:
    """Moments at which a message may go, so many of them a second."""

    def __init__(self, rate: float) -> None:
        self._gap = 1.0 / rate
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Wait for the next moment that nobody else has."""
        with self._lock:
            now = monotonic()
            mine = max(now, self._next)
            self._next = mine + self._gap
        time.sleep(mine - now)
