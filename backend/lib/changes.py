"""Hearing of a file's changes from the kernel, by inotify(7), so that a thread can wait for them without looking.

What other systems than Linux offer instead is not used: there one looks now and then. For speed alone: without it HIGH
takes three times as long to be sent on SQLite (``python -m tests.benchmarks.devices inotify``).
"""

import ctypes
import logging
import os
import select
import threading
import time
import weakref
from pathlib import Path

logger = logging.getLogger(__name__)

_IN_MODIFY = 2  # from sys/inotify.h
_LOOK_SECONDS = 0.05


class Changes:
    """The writes to one file, by whichever process; of several threads that wait, one hears of each."""

    def __init__(self, path: Path) -> None:
        self._condition = threading.Lock()
        self._events: int | None = None
        try:
            self._events = _watch(path)
            weakref.finalize(self, os.close, self._events)
        except (OSError, AttributeError) as fault:
            logger.warning("The kernel does not tell of changes of %s, which is looked at instead: %s", path, fault)

    def wait(self, seconds: float) -> None:
        """Return when there may have been a change, or the time is over."""
        if self._events is None:
            time.sleep(min(seconds, _LOOK_SECONDS))
            return
        end = time.monotonic() + seconds
        if not self._condition.acquire(timeout=seconds):
            return
        try:
            poll = select.poll()
            poll.register(self._events, select.POLLIN)
            if poll.poll(max(0.0, end - time.monotonic()) * 1000):
                os.read(self._events, 4096)
        finally:
            self._condition.release()


def _watch(path: Path) -> int:
    """Return a descriptor that can be read when the file has been written to."""
    libc = ctypes.CDLL(None, use_errno=True)
    events = int(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if events < 0:
        raise OSError(ctypes.get_errno(), "there are too many watches")
    if libc.inotify_add_watch(events, os.fsencode(path), _IN_MODIFY) < 0:
        os.close(events)
        raise OSError(ctypes.get_errno(), "the file cannot be watched")
    return events
