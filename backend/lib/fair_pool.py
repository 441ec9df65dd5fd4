"""Threads that many share fairly: whoever has used the least of their time is next.

Each share has a queue of its own. Work is not interrupted, so what takes long is kept from filling all the threads:
one share has half of them at most, all shares whose work is slow have half of them together, and one thread is left
for what is urgent.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

Answer = TypeVar("Answer")

# From so many seconds for one piece on, a share counts as slow.
SLOW_SECONDS = 0.25
# How much the newest piece of work says of the next one.
_WEIGHT = 0.3
_MOST_ACCOUNTS = 256


class Share(msgspec.Struct, frozen=True):
    """Whose time it is: a service's (0 is the installation's own), for what is urgent or for all else."""

    service_id: int
    urgent: bool = False


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How many ``threads`` there are, and how much may wait for them.

    ``waiting`` pieces of one share, ``capacity`` of all shares together. Who would wait longer than ``patience``
    seconds for what its own share has asked for is refused at once.
    """

    threads: int
    waiting: int
    capacity: int
    patience: float


class Overspent(Exception):
    """The share has asked for more than it gets; ``seconds`` from now its work would be begun."""

    def __init__(self, seconds: float, each: float) -> None:
        super().__init__(f"its work takes {each:.2f} seconds each")
        self.seconds = seconds
        self.each = each


class Busy(Exception):
    """All shares together have asked for too much."""


class Watch:
    """Measures one piece of work; ``restart`` leaves out what came before, such as the start of a process."""

    def __init__(self) -> None:
        self._kept = 0.0
        self._since = time.monotonic()

    def restart(self) -> None:
        """Leave out what came after the last ``keep``."""
        self._since = time.monotonic()

    def keep(self) -> None:
        """Count what came until now in any case."""
        now = time.monotonic()
        self._kept, self._since = self._kept + now - self._since, now

    def seconds(self) -> float:
        """Return how long it has taken."""
        return self._kept + time.monotonic() - self._since


class _Piece(msgspec.Struct):
    """Work that waits or is done, and of how many equal parts it is."""

    work: Callable[[Watch], Any]
    future: "Future[Any]"
    parts: int


class _Account:
    """What one share has used and waits for; ``used`` are seconds in the time that all shares are measured by."""

    def __init__(self, share: Share, used: float) -> None:
        self.share = share
        self.used = used
        self.each = 0.0
        self.running = 0
        self.waiting: deque[_Piece] = deque()

    @property
    def slow(self) -> bool:
        return self.each > SLOW_SECONDS

    @property
    def in_flight(self) -> int:
        """How much of its work is done at this moment, or waits."""
        return self.running + sum(not piece.future.cancelled() for piece in self.waiting)

    def expected(self, at_once: int) -> float:
        """Return for how many seconds one more piece would wait for the others of its share."""
        ahead = sum(piece.parts for piece in self.waiting) + max(0, self.running - at_once + 1)
        return ahead * self.each / at_once if self.running >= at_once or self.waiting else 0.0

    def charge(self, seconds: float, parts: int) -> None:
        self.used += seconds
        each = seconds / parts
        weight = 1 - (1 - _WEIGHT) ** parts  # many at once say more than one
        self.each = each if not self.each else self.each + weight * (each - self.each)


class FairPool:
    """Does the work of many shares in a few threads; safe for many threads that ask."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._limits = limits
        self._half = max(1, limits.threads // 2)
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._accounts: dict[Share, _Account] = {}
        self._used = 0.0

    def submit(
        self, share: Share, work: Callable[[Watch], Answer], *, parts: int = 1, in_vain: bool = True
    ) -> "Future[Answer]":
        """Have work done when the share's turn comes; ``parts`` says how many equal pieces it comes to.

        Without ``in_vain`` what would only wait behind slow work is not taken.

        Raises:
            Overspent: if too much of the same share waits already.
            Busy: if too much waits.
        """
        future: Future[Answer] = Future()
        with self._lock:
            account = self._account(share)
            if not in_vain and self._waits_in_vain(account):
                raise Busy
            self._admit(account)
            if not account.running and not account.waiting:
                account.used = max(account.used, self._used)
            account.waiting.append(_Piece(work, future, parts))
            self._begin()
        return future

    def run(self, share: Share, work: Callable[[Watch], Answer], *, parts: int = 1, in_vain: bool = True) -> Answer:
        """Have work done, and wait for it, or raise what it raised; ``in_vain`` is as in ``submit``.

        Raises:
            Overspent: as ``submit``, and if its turn does not come in time for what the share has used.
            Busy: as ``submit``, and if its turn does not come in time for what others have.
        """
        future = self.submit(share, work, parts=parts, in_vain=in_vain)
        try:
            return future.result(min(self._limits.patience, threading.TIMEOUT_MAX))
        except TimeoutError:
            if not future.cancel():
                return future.result()
        raise self.too_long(share)

    def too_long(self, share: Share) -> Exception:
        """Say why a piece has waited for too long: for its own share's sake, or for that of others."""
        with self._lock:
            account = self._account(share)
            if account.running >= self._half or account.slow:
                return Overspent(account.expected(self._half), account.each)
        return Busy()

    def affordable(self, share: Share, most: int, seconds: float) -> int:
        """Return how many pieces of a share fit into so many seconds: one at least, but none of a slow one in vain.

        It would be in vain while slow work has all the threads that it may have, or waits for them.
        """
        with self._lock:
            account = self._accounts.get(share)
            if account is None:
                return most
            if self._waits_in_vain(account):
                return 0
            return max(1, min(most, int(seconds / account.each))) if account.each else most

    def is_known(self, share: Share) -> bool:
        """Tell whether it is known how long a share's work takes."""
        account = self._accounts.get(share)
        return account is not None and account.each > 0.0

    def is_slow(self, share: Share) -> bool:
        """Tell whether a share's work has been slow of late."""
        account = self._accounts.get(share)
        return account is not None and account.slow

    def _account(self, share: Share) -> _Account:
        account = self._accounts.get(share)
        if account is None:
            account = self._accounts[share] = _Account(share, self._used)
        return account

    def _admit(self, account: _Account) -> None:
        account.waiting = deque(piece for piece in account.waiting if not piece.future.cancelled())
        wait = account.expected(self._half)
        if wait > self._limits.patience or len(account.waiting) >= self._limits.waiting:
            raise Overspent(wait, account.each)
        if self._limits.capacity <= sum(len(one.waiting) for one in self._accounts.values()):
            raise Busy

    def _slow_ones(self) -> int:
        return sum(one.running for one in self._accounts.values() if one.slow)

    def _waits_in_vain(self, account: _Account) -> bool:
        """Tell whether more of a share's work would keep those who wait for it, and be done no sooner for that.

        Whether the work of a new share is slow shows with its first piece.
        """
        if not account.each:
            return account.in_flight > 0
        return account.slow and sum(one.in_flight for one in self._accounts.values() if one.slow) >= self._half

    def _begin(self) -> None:
        """Give free threads to those whose turn it is."""
        while (account := self._next()) is not None:
            piece = account.waiting.popleft()
            if piece.future.set_running_or_notify_cancel():
                account.running += 1
                self._used = max(self._used, account.used)
                self._threads.submit(self._do, account, piece)

    def _next(self) -> _Account | None:
        running = sum(one.running for one in self._accounts.values())
        calm = sum(one.running for share, one in self._accounts.items() if not share.urgent)
        slow = self._slow_ones()
        if running >= self._limits.threads:
            return None

        def may(one: _Account) -> bool:
            held_back = (one.slow and slow >= self._half) or one.running >= self._half
            kept_free = not one.share.urgent and calm >= max(1, self._limits.threads - 1)
            return bool(one.waiting) and not held_back and not kept_free

        ready = (one for one in self._accounts.values() if may(one))
        return min(ready, key=lambda one: (not one.share.urgent, one.used), default=None)

    def _do(self, account: _Account, piece: _Piece) -> None:
        watch = Watch()
        try:
            answer = piece.work(watch)
        except BaseException as error:
            self._end(account, piece, watch.seconds())
            piece.future.set_exception(error)
        else:
            self._end(account, piece, watch.seconds())
            piece.future.set_result(answer)

    def _end(self, account: _Account, piece: _Piece, seconds: float) -> None:
        with self._lock:
            account.running -= 1
            account.charge(seconds, piece.parts)
            self._drop()
            self._begin()

    def _drop(self) -> None:
        """Keep few accounts: of those at rest the half goes that has used the least, and so owes the least."""
        if len(self._accounts) > _MOST_ACCOUNTS:
            idle = [one for one in self._accounts.values() if not one.running and not one.waiting]
            for one in sorted(idle, key=lambda one: one.used)[: len(idle) // 2]:
                del self._accounts[one.share]
