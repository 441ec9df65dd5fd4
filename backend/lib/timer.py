"""What a worker looks after each second by itself, whatever has become of the queue."""

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Sequence

from backend.lib.queue import Periodic

logger = logging.getLogger(__name__)

EVERY_SECONDS = 1.0


class Timer:
    """Runs each task once a second: those of a package one after the other, in a thread that the package has alone.

    So one whose work takes long holds up no other. The threads begin one after the other within the second, that
    they do not all want the database at the same moment.
    """

    def __init__(self, tasks: Sequence[Periodic], stopping: threading.Event) -> None:
        self._stopping = stopping
        packages: dict[str, list[Periodic]] = defaultdict(list)
        for task in tasks:
            packages[task.package].append(task)
        self._threads = [
            threading.Thread(
                target=self._run,
                args=[found, position * EVERY_SECONDS / len(packages)],
                name=f"timer-{name}",
                daemon=True,
            )
            for position, (name, found) in enumerate(packages.items())
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def join(self, seconds: float) -> None:
        """Wait for what is under way, once it has been asked to stop."""
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    def _run(self, tasks: Sequence[Periodic], begin: float) -> None:
        wait = begin
        while not self._stopping.wait(wait):
            began = time.monotonic()
            for task in tasks:
                if not self._stopping.is_set():
                    _run(task)
            wait = max(0.0, EVERY_SECONDS - (time.monotonic() - began))


def _run(task: Periodic) -> None:
    try:
        task.run()
    except Exception:
        # Most likely the database is away; the next second is another try.
        logger.exception("%s could not do its work", task.name)
