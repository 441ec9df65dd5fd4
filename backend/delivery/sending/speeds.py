"""How quickly the messages of each channel go out, by which a thread claims as many as it can send in a moment.

Who claims more than that keeps them from the other threads, and from the workers of other processes: by a provider that
takes a tenth of a second for each message, 200 took six times as long (``python -m tests.benchmarks.devices speeds``).
"""

import threading

from backend.channels.base import Channel

# A thread claims what it can send within so many seconds, and what is left after a while longer goes back.
SHARE_SECONDS = 0.5
LONGEST_SECONDS = 2.0
_FIRST = 4  # so many it claims while nothing is known
_NEWEST = 0.5  # part of the newest time in what is known


class Speeds:
    """Remembers for this process how long a message of each channel takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[Channel, float] = {}

    def note(self, channel: Channel, messages: int, seconds: float) -> None:
        """Learn that a thread has dealt with so many messages in ``seconds``."""
        if not messages:
            return
        with self._lock:
            newest = seconds / messages
            before = self._seconds.get(channel, newest)
            # What is quick again after an outage is believed at once; what was slow once may have been chance.
            self._seconds[channel] = min(newest, before + _NEWEST * (newest - before))

    def share(self, channel: Channel, least: int, most: int) -> int:
        """Return how many a thread should claim that has ``least`` under way at once."""
        with self._lock:
            known = self._seconds.get(channel)
        if known is None:
            return min(_FIRST * least, most)
        return max(least, min(most, int(SHARE_SECONDS / known) if known > SHARE_SECONDS / most else most))
