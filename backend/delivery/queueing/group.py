"""The claims that one thread has claimed."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

import msgspec

from backend.channels.base import Channel, Provider
from backend.delivery.queueing.claims import Claim


class Attempt(msgspec.Struct, frozen=True):
    """What the thread is dispatching, to whom, and since when (``time.monotonic()``)."""

    claim: Claim
    provider: Provider
    since: float


class Group:
    """Claims of one channel; what the thread has not begun, others can take from it while it waits for a provider.

    ``given_up`` is the attempt for which that was done.
    """

    def __init__(self, channel: Channel, claims: Sequence[Claim]) -> None:
        self.channel = channel
        self.thread = threading.get_ident()
        self.attempt: Attempt | None = None
        self.given_up: Attempt | None = None
        self._left = deque(claims)

    def next(self) -> Claim | None:
        """Take the next claim to be dealt with."""
        try:
            return self._left.popleft()
        except IndexError:
            return None

    def next_some(self, most: int) -> list[Claim]:
        """Take up to so many claims."""
        some: list[Claim] = []
        while len(some) < most and (claim := self.next()) is not None:
            some.append(claim)
        return some

    def put_back(self, claims: Sequence[Claim]) -> None:
        """Let claims be the next again."""
        self._left.extendleft(reversed(claims))

    def take_rest(self) -> list[Claim]:
        """Take all that has not been begun, from its end: what the thread takes meanwhile goes on without a gap."""
        rest: list[Claim] = []
        while self._left:
            with suppress(IndexError):  # the thread took the last one
                rest.append(self._left.pop())
        return rest[::-1]

    def begin(self, claim: Claim, provider: Provider) -> None:
        """Note that the thread now waits for a provider."""
        self.attempt = Attempt(claim, provider, time.monotonic())

    def end(self) -> None:
        """Note that the provider has answered."""
        self.attempt = None

    def waited(self) -> float:
        """Return for how many seconds the provider has not answered."""
        attempt = self.attempt
        return 0.0 if attempt is None else time.monotonic() - attempt.since
