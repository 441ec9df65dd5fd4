"""Requests counted against each API client's limit, over all processes, in fixed windows of time.

The count of a window is one row, raised by one statement for all requests that wait. A client that sends many
requests takes several permits with one statement and spends them from memory. Permits are taken ahead only while more
than half of a large limit is left, and the unspent ones are given back within half a second; so when a window comes
to its end no process holds any, and exactly the limit is let through.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from math import ceil
from typing import cast

import msgspec
from sqlalchemy import Table, delete
from sqlalchemy.orm import Session

from backend.accounts.faults import unavailable_without_database
from backend.db import database as db
from backend.db.database import Database
from backend.db.driver import Insert
from backend.db.models.operations import RateWindow
from backend.lib import clock, settings
from backend.lib.micro_batcher import MicroBatcher
from backend.lib.problems import Problem
from backend.lib.setting_kinds import RateLimit

logger = logging.getLogger(__name__)

MAX_AHEAD = 256
HOLD_SECONDS = 0.5
_LARGE = 1000
# Of a limit, so that several processes do not hold half of it between them.
_SHARE_AHEAD = 1 / 16


class Quota(msgspec.Struct, frozen=True):
    """What is left of a client's requests: ``remaining`` of ``limit``, renewed in ``reset_seconds``."""

    limit: int
    window_seconds: int
    remaining: int
    reset_seconds: int

    @property
    def headers(self) -> dict[str, str]:
        """Write the fields of draft-ietf-httpapi-ratelimit-headers-10."""
        return {
            "RateLimit": f'"default";r={self.remaining};t={self.reset_seconds}',
            "RateLimit-Policy": f'"default";q={self.limit};w={self.window_seconds}',
        }


class Demand(msgspec.Struct, frozen=True):
    """Permits of one client that are wanted at once; a negative number gives permits back."""

    api_client_id: int
    starts_at: int
    permits: int


class _Window:
    """What this process knows of one client's present window."""

    def __init__(self, starts_at: int) -> None:
        self.starts_at = starts_at
        self.counted = 0
        self.ahead = 0
        self.takings = 0
        self.next_ahead = 0
        self.asked_at = float("-inf")
        self.asking = False


class RateLimiter:
    """The limits of one process; everything but ``count`` runs on its event loop."""

    def __init__(self, database: Database, limit: RateLimit) -> None:
        self._database = database
        self._limit = limit
        self._windows: dict[int, _Window] = {}
        self._counting: MicroBatcher[Demand, int] = MicroBatcher(self.count, name="rate-limits")
        self._returning: set[asyncio.Task[None]] = set()

    async def hit(self, api_client_id: int) -> Quota:
        """Count one request.

        Raises:
            Problem: ``rate_limited`` if it is over the limit, ``unavailable`` if it cannot be counted.
        """
        granted, quota = await self.take(api_client_id, 1)
        if not granted:
            raise refusal(quota)
        return quota

    async def take(self, api_client_id: int, wanted: int) -> tuple[int, Quota]:
        """Count as many requests at once; return how many of them are within the limit, and what is left then.

        Raises:
            Problem: ``unavailable`` if they cannot be counted.
        """
        window = self._window(api_client_id)
        granted = min(window.ahead, wanted)
        window.ahead -= granted
        if granted < wanted and window.counted < self._limit.requests:
            granted += await self._ask(api_client_id, window, wanted - granted)
        return granted, self._quota(window)

    def _window(self, api_client_id: int) -> _Window:
        length = self._limit.seconds
        starts_at = int(clock.timestamp() // length) * length
        window = self._windows.get(api_client_id)
        if window is None or window.starts_at != starts_at:
            window = self._windows[api_client_id] = _Window(starts_at)
        return window

    async def _ask(self, api_client_id: int, window: _Window, wanted: int) -> int:
        """Take permits, with some ahead if requests come fast, and tell how many were to be had."""
        ahead = self._choose_ahead(window)
        window.asking = window.asking or ahead > 0
        try:
            last = await self._counting.submit(Demand(api_client_id, window.starts_at, wanted + ahead))
        finally:
            window.asking = window.asking and ahead == 0
        window.counted = max(window.counted, last)
        left = self._limit.requests - (last - ahead - wanted)  # when ours were counted
        if ahead:
            window.ahead += max(0, min(ahead, left - wanted))
            window.takings += 1
            loop = asyncio.get_running_loop()
            loop.call_later(HOLD_SECONDS, self._give_back, api_client_id, window, window.takings)
        return max(0, min(wanted, left))

    def _choose_ahead(self, window: _Window) -> int:
        moment = asyncio.get_running_loop().time()
        fast = moment - window.asked_at < HOLD_SECONDS
        window.asked_at = moment
        most = min(MAX_AHEAD, int(self._limit.requests * _SHARE_AHEAD))
        window.next_ahead = min(most, 2 * window.next_ahead + 2) if fast else 0
        scarce = self._limit.requests < _LARGE or 2 * window.counted > self._limit.requests
        return 0 if window.asking or scarce else window.next_ahead

    def _give_back(self, api_client_id: int, window: _Window, taking: int) -> None:
        """Return what is left of one taking; a newer one has a moment of its own.

        The next taking ahead is as large as what was spent of this one, so that a steady client is not counted in
        many small steps again and again.
        """
        if window.takings != taking or self._windows.get(api_client_id) is not window:
            return
        unspent, window.ahead = window.ahead, 0
        if unspent:
            window.counted -= unspent
            window.next_ahead = max(0, window.next_ahead - unspent) // 2
            task = asyncio.create_task(self._return(Demand(api_client_id, window.starts_at, -unspent)))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)

    async def _return(self, demand: Demand) -> None:
        try:
            await self._counting.submit(demand)
        except Problem:
            logger.warning("%d permits of API client %d were not given back.", -demand.permits, demand.api_client_id)

    def count(self, demands: Sequence[Demand]) -> list[int]:
        """Raise the counts by all demands in one statement; return the last permit's number for each demand."""
        wanted: Counter[tuple[int, int]] = Counter()
        for demand in demands:
            wanted[demand.api_client_id, demand.starts_at] += demand.permits
        # In one order, so that two processes never wait for each other's rows.
        rows = [{"api_client_id": key[0], "starts_at": key[1], "count": wanted[key]} for key in sorted(wanted)]
        with unavailable_without_database(), self._database.transaction(durable=False) as session:
            after = {(client, starts_at): count for client, starts_at, count in _RAISE.run(session, rows)}
        reached = {key: after[key] - wanted[key] for key in wanted}
        numbers = []
        for demand in demands:
            reached[demand.api_client_id, demand.starts_at] += demand.permits
            numbers.append(reached[demand.api_client_id, demand.starts_at])
        return numbers

    def _quota(self, window: _Window) -> Quota:
        remaining = max(0, self._limit.requests - window.counted + window.ahead)
        left = window.starts_at + self._limit.seconds - clock.timestamp()
        return Quota(self._limit.requests, self._limit.seconds, remaining, max(1, ceil(left)))


def refusal(quota: Quota) -> Problem:
    """Say that a client's requests are used up."""
    detail = (
        f"This API client may send {quota.limit} requests in {quota.window_seconds} seconds; "
        f"the next may come in {quota.reset_seconds} seconds."
    )
    return Problem("rate_limited", detail, headers={"Retry-After": str(quota.reset_seconds), **quota.headers})


_RAISE = Insert(
    cast("Table", RateWindow.__table__),
    ("api_client_id", "starts_at", "count"),
    "ON CONFLICT (api_client_id, starts_at) DO UPDATE SET count = rate_windows.count + excluded.count"
    " RETURNING api_client_id, starts_at, count",
)


@lru_cache(maxsize=1)
def _limiter(database: Database, limit: RateLimit) -> RateLimiter:
    return RateLimiter(database, limit)


async def hit(api_client_id: int) -> Quota:
    """Count one request of an API client; see ``RateLimiter.hit``."""
    return await _limiter(db.current(), settings.current().rate_limit).hit(api_client_id)


async def take(api_client_id: int, wanted: int) -> tuple[int, Quota]:
    """Count several requests of an API client; see ``RateLimiter.take``."""
    return await _limiter(db.current(), settings.current().rate_limit).take(api_client_id, wanted)


def purge_old_windows(session: Session) -> None:
    """Delete the counts of windows that are over, with one window to spare for machines whose clocks differ."""
    length = settings.current().rate_limit.seconds
    session.execute(delete(RateWindow).where(RateWindow.starts_at < clock.timestamp() - 2 * length))
