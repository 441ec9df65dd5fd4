"""The engine's tasks: thin nudges around the room's own functions."""

import logging
import time
from collections.abc import Collection, Mapping
from datetime import timedelta

from backend.channels.base import Channel
from backend.db import leases
from backend.db import session as db
from backend.db.models.notifications import Priority
from backend.delivery import ahead, health, providers, repair, retention, routes, spooled, turns, watch
from backend.delivery.lanes import Lanes
from backend.delivery.send import Hand
from backend.lib import processes, queue
from backend.lib.outages import OUTAGES
from backend.lib.pace import Pace

logger = logging.getLogger(__name__)

# The priorities that have something new, each with the channels that have it; none where that is not known.
New = Mapping[int, Collection[str]]

# Huey takes the greatest number first.
_URGENCY = {Priority.HIGH.value: 30, Priority.NORMAL.value: 20, Priority.BATCH.value: 10}
# A task that has sent for so long lets others have the thread and nudges itself again.
_TURN_SECONDS = 1.0
_housekeeping = Pace()
_clocks = Pace(timedelta(seconds=30))


class _Present:
    """The hand of this process, and the threads that send with it; set by the worker when it starts."""

    hand = Hand(processes.name())
    lanes: Lanes | None = None


def use(lanes: Lanes) -> None:
    """Send with these threads from now on."""
    _Present.hand, _Present.lanes = lanes.hand, lanes


@queue.task
def deliver(priority: int, channels: Collection[str] = ()) -> None:
    """Send what is due: HIGH alone, or everything with HIGH first.

    In a worker it is done by the threads of each channel, of those ``channels`` if they are named; without such
    threads here and now, for as long as a turn lasts.
    """
    high_only = priority == Priority.HIGH.value
    if _Present.lanes is not None:
        _Present.lanes.wake([Channel(name) for name in channels], high_only=high_only)
        return
    end = time.monotonic() + _TURN_SECONDS
    while _Present.hand.send_some(high_only=high_only) and not _Present.hand.stopping():
        if time.monotonic() > end:
            deliver(priority, priority=_URGENCY[priority])
            break


def nudge(new: New) -> None:
    """Wake workers for new deliveries."""
    for priority in sorted(new):
        deliver(priority, sorted(new[priority]), priority=_URGENCY[priority])


@queue.periodic
def mend() -> None:
    """Take up what fell out of hands, and send what is due: retries, and what no nudge reached. It needs no queue."""
    recover(_Present.hand)
    if _clocks.take():
        mend_clock()
    for high_only in (True, False):
        with db.current().look() as session:
            due = turns.waiting(session, {Priority.HIGH} if high_only else set(Priority))
        if due and _Present.lanes is not None:
            _Present.lanes.wake(due, high_only=high_only)
        elif due:
            _Present.hand.send_some(high_only=high_only)


def recover(hand: Hand) -> None:
    """Take up what dead workers and dropped claims have left; a look first, which locks nothing."""
    database = db.current()
    try:
        hand.write_down()
        with database.look() as session:
            lapsed = hand.observer.lapsed(session)
        if lapsed:
            with database.write() as session:
                leases.strike_out(session, lapsed)
        with database.look() as session:
            found = repair.stranded(session, hand.lease.token, hand.holding)
    except OUTAGES:
        hand.observer.forget()
        raise
    if found:
        with database.write() as session:
            in_doubt = repair.recover(session, found, hand.holding)
        watch.inside(in_doubt)


def mend_clock() -> None:
    """Let nothing wait for a moment that only a clock ahead of ours has named; a look first, which locks nothing."""
    database = db.current()
    with database.look() as session:
        wanted = ahead.found(session)
    if wanted:
        with database.write() as session:
            ahead.mend(session)


def _tidy_files() -> int:
    """Delete some of this machine's files; a folder that cannot be used keeps nothing else from being done."""
    try:
        return routes.tidy()
    except OSError as error:
        logger.warning("The files of letters cannot be tidied up: %s", error)
        return 0


@queue.periodic
def forget() -> None:
    """Delete what is past its retention: a chunk at each tick until nothing is left, then not for an hour."""
    if not _housekeeping.take():
        return
    database = db.current()
    with database.read() as session:
        notifications = retention.old_notifications(session)
    if notifications:
        with database.write() as session:
            retention.forget_notifications(session, notifications)
    with database.read() as session:
        batches = retention.old_batches(session)
    if batches:
        with database.write() as session:
            retention.forget_batches(session, batches)
    with database.write() as session:
        providers.forget(session)
        health.forget(session)
        letters = spooled.forget(session)
        retention.forget_repeats(session)
    files = _tidy_files()
    if files or letters:
        _housekeeping.again()
    if len(notifications) == retention.CHUNK or len(batches) == retention.CHUNK:
        _housekeeping.again()
