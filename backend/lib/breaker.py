"""A circuit breaker: after a failure nobody waits for what is away, until one thread of ours has found it back."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from backend.lib import clock

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0


class Breaker:
    """Open while ``what`` is away; ``probe`` raises for as long as it is, and is tried each second.

    The log is told twice: when it opens, with ``consequence``, and when it closes.
    """

    def __init__(self, what: str, consequence: str, probe: Callable[[], object]) -> None:
        self._what, self._consequence, self._probe = what, consequence, probe
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._since: datetime | None = None

    def is_open(self) -> bool:
        """Tell whether it is of no use to try."""
        return self._since is not None

    @property
    def since(self) -> datetime | None:
        """Return since when it is open."""
        return self._since

    def failed(self, error: Exception) -> None:
        """Open it, and begin to look whether it can be closed."""
        with self._lock:
            if self._since is not None or self._ended.is_set():
                return
            self._since = clock.now()
            threading.Thread(target=self._look, name="breaker", daemon=True).start()
        logger.warning("%s: %s", self._what, self._consequence, exc_info=error)

    def end(self) -> None:
        """Look no more."""
        self._ended.set()

    def _look(self) -> None:
        while not self._ended.wait(PROBE_SECONDS):
            try:
                self._probe()
            except Exception:  # noqa: S112 - it was said when the breaker opened
                continue
            with self._lock:
                since, self._since = self._since, None
            seconds = (clock.now() - since).total_seconds() if since else 0.0
            logger.info("%s: well again after %.0f seconds", self._what, seconds)
            return
