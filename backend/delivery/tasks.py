"""The engine's tasks: thin wake-ups around the package's own functions."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from backend.channels.base import Channel
from backend.db import database as db
from backend.db import leases
from backend.db.database import Database
from backend.db.models.notifications import Priority
from backend.delivery import reaper, retention
from backend.delivery.content import file_links
from backend.delivery.providers import health, routes, spooled
from backend.delivery.queueing import clock_skew, fairness
from backend.delivery.sending import telemetry
from backend.delivery.sending.pools import ChannelPools
from backend.delivery.sending.send import Sender
from backend.lib import processes, queue
from backend.lib.outages import OUTAGES
from backend.lib.throttle import Throttle
from backend.obligations import retention as obligation_retention

logger = logging.getLogger(__name__)
# The priorities that have something new, each with the channels that have it; none where that is not known.
New = Mapping[int, Collection[str]]
# Huey takes the greatest number first.
_URGENCY = {Priority.HIGH.value: 30, Priority.NORMAL.value: 20, Priority.BATCH.value: 10}
# A task that has sent for so long lets others have the thread and wakes itself again.
_SLICE_SECONDS = 1.0
_housekeeping = Throttle()
_clocks = Throttle(timedelta(seconds=30))
# Between two wake-ups for what is not HIGH: a worker that was woken takes hundreds with it.
_REST_SECONDS = 0.02


class _Present:
    """The sender of this process, and the threads that send with it; set by the worker when it starts."""

    sender = Sender(processes.name())
    pools: ChannelPools | None = None


def use(pools: ChannelPools) -> None:
    """Send with these threads from now on."""
    _Present.sender, _Present.pools = pools.sender, pools


@queue.task
def deliver(priority: int, channels: Collection[str] = ()) -> None:
    """Send what is due: HIGH alone, or everything with HIGH first.

    In a worker it is done by the threads of each channel, of those ``channels`` if they are named; without such
    threads here and now, for as long as a turn lasts.
    """
    high_only = priority == Priority.HIGH.value
    if _Present.pools is not None:
        _Present.pools.wake([Channel(name) for name in channels], high_only=high_only)
        return
    end = time.monotonic() + _SLICE_SECONDS
    while _Present.sender.send_some(high_only=high_only) and not _Present.sender.stopping():
        if time.monotonic() > end:
            deliver(priority, priority=_URGENCY[priority])
            break


def wake(new: New) -> None:
    """Wake workers for new deliveries."""
    for priority in sorted(new):
        deliver(priority, sorted(new[priority]), priority=_URGENCY[priority])


@queue.periodic
def reap() -> None:
    """Take up what lost its worker, and send what is due: retries, and what no wake-up reached. It needs no queue."""
    recover(_Present.sender)
    if _clocks.take():
        fix_clock_skew()
    for high_only in (True, False):
        with db.current().autocommit() as session:
            due = fairness.waiting(session, {Priority.HIGH} if high_only else set(Priority))
        if due and _Present.pools is not None:
            _Present.pools.wake(due, high_only=high_only)
        elif due:
            _Present.sender.send_some(high_only=high_only)


def recover(sender: Sender) -> None:
    """Take up what dead workers and dropped claims have left; a look first, which locks nothing."""
    database = db.current()
    try:
        sender.write_down()
        with database.autocommit() as session:
            lapsed = sender.observer.lapsed(session)
        if lapsed:
            with database.transaction() as session:
                leases.strike_out(session, lapsed)
        with database.autocommit() as session:
            found = reaper.orphaned(session, sender.lease.token, sender.holding)
    except OUTAGES:
        sender.observer.reset()
        raise
    if found:
        with database.transaction() as session:
            outcome_unknown = reaper.recover(session, found, sender.holding)
        telemetry.inside(outcome_unknown)


def fix_clock_skew() -> None:
    """Let nothing wait for a moment that only a clock ahead of ours has named; a look first, which locks nothing."""
    database = db.current()
    with database.autocommit() as session:
        wanted = clock_skew.found(session)
    if wanted:
        with database.transaction() as session:
            clock_skew.fix(session)


def _tidy_files() -> int:
    """Delete some of this machine's files; a folder that cannot be used keeps nothing else from being done."""
    try:
        return routes.tidy()
    except OSError as error:
        logger.warning("The files of letters cannot be tidied up: %s", error)
        return 0


def _end_links(database: Database) -> int:
    """Delete the files of some links that have expired."""
    with database.read() as session:
        if not file_links.any_over(session):
            return 0
    with database.transaction() as session:
        return file_links.end(session)


@queue.periodic
def purge() -> None:
    """Delete what is past its retention: a chunk at each tick until nothing is left, then not for an hour."""
    if not _housekeeping.take():
        return
    database = db.current()
    with database.read() as session:
        notifications = retention.old_notifications(session)
    if notifications:
        with database.transaction() as session:
            retention.purge_notifications(session, notifications)
    with database.read() as session:
        batches = retention.old_batches(session)
    if batches:
        with database.transaction() as session:
            retention.purge_batches(session, batches)
    with database.read() as session:
        obligations = obligation_retention.over(session)
    if obligations:
        with database.transaction() as session:
            obligation_retention.purge(session, obligations)
    with database.transaction() as session:
        health.purge_addresses(session)
        health.purge_minutes(session)
        letters = spooled.purge(session)
        retention.purge_repeats(session)
        retention.purge_matters(session)
    files = _tidy_files()
    if files or letters or _end_links(database):
        _housekeeping.again()
    if len(notifications) == retention.CHUNK or len(batches) == retention.CHUNK:
        _housekeeping.again()


# Wake-ups by a process that accepts many groups a second, given by a thread of its own: nobody waits for them.
#
# For speed alone: without it HIGH takes 38 % longer to be sent on SQLite, and 12 % longer on PostgreSQL
# (``python -m tests.benchmarks.devices waker``).


class Waker:
    """Gathers what is new while a wake-up is given, for the next one.

    The first is given at once, and HIGH never waits for more than the one that is under way. What a process that is
    killed has not given, the reaper finds, as every wake-up that is lost.
    """

    def __init__(self, wake: Callable[[New], None] = wake) -> None:
        self._wake = wake
        self._news = threading.Condition()
        self._waiting: dict[int, set[str]] = {}
        self._thread: threading.Thread | None = None

    def ring(self, new: New) -> None:
        """Wake workers for new deliveries, soon."""
        with self._news:
            for priority, channels in new.items():
                self._waiting.setdefault(priority, set()).update(channels)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="waker", daemon=True)
                self._thread.start()
            self._news.notify()

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting)
                waiting, self._waiting = self._waiting, {}
            self._wake(waiting)
            with self._news:
                self._news.wait_for(lambda: Priority.HIGH.value in self._waiting, _REST_SECONDS)
