"""How many messages a second a provider takes, learned from what it refuses as too many.

Additive increase and multiplicative decrease, as TCP shares a line: all processes that send by one provider come to
fair shares of what it takes without telling each other (Chiu and Jain, 1989). A rate goes back quickly towards the
last one that was too high and slowly beyond it, slowly at first (BIC and CUBIC; RFC 9438). While nothing is refused
there is no rate, and nothing is asked for here but two look-ups.
"""

import math
import threading
import time
from collections.abc import Hashable

import msgspec

from backend.lib import clock

_DECREASE = 0.95
_FAR_DECREASE = 0.5  # for what goes on being refused: the rate is far from what is taken
_OF_TAKEN = 0.8  # of what was taken a moment ago is most likely borne
_NEAR, _MANY = 3, 12  # refusals in a row, after which that is so, and so many that nothing may be taken any more
_GROWTH = 2.0  # of itself a second a rate grows at most
_BACK_SECONDS = 1.0  # within so many the better part of the way back to the last rate is made
_JUST_BELOW = 0.97  # of that rate
_BEYOND = 0.002  # of that rate a second is added beyond it for each second since the last refusal
_SLOWEST = 0.5  # messages a second; who takes fewer is held back for a while, in the database for all processes
_AT_ONCE_SECONDS = 0.1  # what was not used in so long a time may leave at once
_LEFT_OVER = 1.0  # of a message: who comes a little late for a turn is not late for the next one too
_DROP_SECONDS = 600.0  # a rate that nobody has refused for so long is none any more
_MOST = 1000  # rates, after which those are looked for
_LATELY_SECONDS = 1.0
_PAUSES = (1.0, 600.0)  # seconds
_PAUSE_PART = 0.1  # of the time since the last success
_NOTICE_SECONDS = 0.05  # after so long a message that waits looks whether a more urgent one does too

# A provider's name, or with it one of its destinations.
Key = Hashable


class _Rate(msgspec.Struct):
    """A rate in messages a second; all moments are of ``clock.elapsed``.

    ``ceiling`` is the last one that was too high. ``lowered`` is when it was lowered last, and ``worked`` tells whether
    something was taken since; ``misses`` counts how often it was lowered in a row.
    """

    rate: float
    ceiling: float
    lowered: float
    grown: float
    filled: float
    accepted: float
    tokens: float = 0.0
    worked: bool = True
    misses: int = 0
    waiting: list[int] = []

    def fill(self, now: float) -> float:
        """Return how many messages may leave now."""
        most = _LEFT_OVER + max(1.0, self.rate * _AT_ONCE_SECONDS)
        self.tokens = min(most, self.tokens + self.rate * max(0.0, now - self.filled))
        self.filled = now
        return self.tokens

    def raise_(self, now: float) -> None:
        """Go up, for a message was taken."""
        passed = min(max(0.0, now - self.grown), _BACK_SECONDS)
        self.grown = self.accepted = now
        self.worked = True
        below = self.ceiling * _JUST_BELOW
        if self.rate < below:
            back = (below - self.rate) * (1 - math.exp(-passed / _BACK_SECONDS))
            self.rate += min(back, self.rate * passed * _GROWTH)
        self.rate += self.ceiling * _BEYOND * (now - self.lowered) * passed

    def lower(self, now: float, taken: float) -> None:
        """Go down, for a message was refused; of several in a row the first tells what was too much.

        What was ``taken`` a second until now shows how far down is far enough.
        """
        if self.worked:
            self.ceiling, self.misses = self.rate, 0
        self.misses += 1
        lower = self.rate * (_DECREASE if self.misses <= _NEAR else _FAR_DECREASE)
        borne = min(self.rate, taken * _OF_TAKEN) if self.misses <= _MANY else 0.0
        self.rate = max(lower, borne, _SLOWEST)
        self.lowered = self.grown = now
        self.worked = False


class _Lately(msgspec.Struct):
    """How many messages a provider took in the present second or so, and in the one before."""

    since: float
    count: int = 0
    before: int = 0
    before_since: float = 0.0

    def note(self, now: float, count: int) -> None:
        passed = now - self.since
        if passed > _LATELY_SECONDS:
            close = passed < 2 * _LATELY_SECONDS
            self.before, self.before_since = (self.count, self.since) if close else (0, now)
            self.since, self.count = now, 0
        self.count += count

    def rate(self, now: float) -> float | None:
        """Return the rate of what was taken, if that was a moment ago."""
        if not self.count or now - self.since > 2 * _LATELY_SECONDS:
            return None
        start = self.before_since if self.before else self.since
        return (self.before + self.count) / max(now - start, 0.001)


class Rates:
    """The rates that this process has learned; ``of_destinations`` tells whether there were any of destinations."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._rates: dict[Key, _Rate] = {}
        self._refused_once: dict[Key, float] = {}
        self._lately: dict[str, _Lately] = {}
        self.of_destinations = False

    def take(self, key: Key, priority: int, most: int, patience: float) -> int:
        """Return how many of ``most`` messages may leave now; 0 if none may within ``patience`` seconds.

        Who is more urgent, with a smaller ``priority``, goes first.
        """
        if key not in self._rates:
            return most
        end = time.monotonic() + patience
        with self._condition:
            rate = self._rates.get(key)
            if rate is None:
                return most
            rate.waiting.append(priority)
            try:
                while True:
                    free = rate.fill(clock.elapsed())
                    if free >= 1 and priority <= min(rate.waiting):
                        taken = min(most, int(free))
                        rate.tokens -= taken
                        return taken
                    left = end - time.monotonic()
                    if left <= 0:
                        return 0
                    self._condition.wait(min(left, _NOTICE_SECONDS, max((1 - free) / rate.rate, 0.001)))
            finally:
                rate.waiting.remove(priority)

    def give_back(self, key: Key, count: int) -> None:
        """Put back what was taken and not used."""
        with self._condition:
            if rate := self._rates.get(key):
                rate.tokens += count

    def wait(self, key: Key) -> tuple[float, float] | None:
        """Take a turn if there is one now; else say after how many seconds there may be one, and how many a turn is."""
        if self.take(key, -1, 1, 0.0):
            return None
        rate = self._rates.get(key)
        if rate is None:  # forgotten a moment ago
            return None
        return max((1 - rate.tokens) / rate.rate, 0.001), 1 / rate.rate

    def knows(self, key: Key) -> bool:
        """Tell whether there is a rate for a provider or a destination."""
        return key in self._rates

    def is_full(self, key: Key) -> bool:
        """Tell whether no message may leave now."""
        with self._condition:
            rate = self._rates.get(key)
            return rate is not None and (rate.fill(clock.elapsed()) < 1 or bool(rate.waiting))

    def accepted(self, provider: str, *keys: Key, count: int = 1) -> None:
        """Note that a provider took so many messages, and that these of its destinations did."""
        now = clock.elapsed()
        lately = self._lately.get(provider)
        if lately is None:
            lately = self._lately[provider] = _Lately(now)
        lately.note(now, count)
        if not self._rates and not self._refused_once:
            return
        with self._condition:
            for key in (provider, *keys):
                if now - self._refused_once.get(key, now) > _DROP_SECONDS:
                    del self._refused_once[key]
                rate = self._rates.get(key)
                if rate is not None and now - rate.lowered > _DROP_SECONDS:
                    del self._rates[key]
                elif rate is not None:
                    rate.raise_(now)

    def refused(self, provider: str, key: Key, begun: float) -> float | None:
        """Lower a rate for a message that was given away at ``begun`` (``clock.elapsed``) and refused as one too many.

        What was under way when the rate was lowered last is of the same fault. Returns for how many seconds nothing
        should be sent any more where even the slowest rate is too much, or where nothing is known of the rate: a
        single refusal does not tell it.
        """
        now = clock.elapsed()
        with self._condition:
            rate = self._rates.get(key)
            lately = self._lately.get(provider)
            known = lately.rate(now) if lately else None
            if rate is None:
                self._drop(now)
                once = self._refused_once.get(key)
                if known is None and (once is None or begun <= once):
                    self._refused_once.setdefault(key, now)
                    return _PAUSES[0] if once is None else None
                rate = self._learned(key, now, known, now if once is None else once)
                self.of_destinations = self.of_destinations or key != provider
            elif begun <= rate.lowered:
                return None
            rate.lower(now, (known or 0.0) if key == provider else 0.0)
            if rate.rate > _SLOWEST:
                return None
            return min(max((now - rate.accepted) * _PAUSE_PART, _PAUSES[0]), _PAUSES[1])

    def _learned(self, key: Key, now: float, known: float | None, accepted: float) -> _Rate:
        """Begin a rate."""
        self._refused_once.pop(key, None)
        first = known or _SLOWEST
        rate = self._rates[key] = _Rate(first, first, now, now, now, accepted, worked=known is not None)
        return rate

    def _drop(self, now: float) -> None:
        """Drop what nobody has refused for long, where there is much."""
        if len(self._rates) + len(self._refused_once) > _MOST:
            self._rates = {one: rate for one, rate in self._rates.items() if now - rate.lowered <= _DROP_SECONDS}
            once = self._refused_once
            self._refused_once = {one: at for one, at in once.items() if now - at <= _DROP_SECONDS}
