"""How often something is done: the worker ticks every second, housekeeping is for once an hour."""

import threading
from datetime import datetime, timedelta

from backend.lib import clock

HOUR = timedelta(hours=1)


class Throttle:
    """Lets one caller of this process through in each ``every``, by the application's clock."""

    def __init__(self, every: timedelta = HOUR) -> None:
        self._every = every
        self._lock = threading.Lock()
        self._last: datetime | None = None

    def take(self) -> bool:
        """Tell whether it is time, and if so, let the next one wait; a clock that was set back holds nobody up."""
        with self._lock:
            moment = clock.now()
            if self._last is not None and timedelta() <= moment - self._last < self._every:
                return False
            self._last = moment
            return True

    def again(self) -> None:
        """Let the next caller through at once, since something is left to do."""
        with self._lock:
            self._last = None
