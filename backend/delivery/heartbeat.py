"""The worker's heartbeat, by which others see that its claims are in living hands."""

import logging
import os
import secrets
import socket
import threading
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from backend.db import session as db
from backend.db.models.operations import Worker
from backend.db.statements import insert
from backend.lib import clock
from backend.lib.outages import OUTAGES

logger = logging.getLogger(__name__)

BEAT_SECONDS = 3.0
DEAD_AFTER = timedelta(seconds=20)
# While the database is away everybody is silent: when it is back, each has this long to be heard again.
_STEADY_AFTER = timedelta(seconds=2 * BEAT_SECONDS)


def _machine() -> str:
    """Name the machine together with its space of process ids, in which a process id means one process."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")
    except OSError:
        namespace = "0"
    return f"{socket.gethostname()[:30]}/{namespace}"


def worker_name() -> str:
    """Make the name of this worker process: machine, process id, and chance against a reused process id."""
    return f"{_machine()}/{os.getpid()}/{secrets.token_hex(3)}"


def beat(session: Session, worker: str) -> None:
    """Say that the worker is alive."""
    now = clock.now()
    statement = insert(session, Worker).values(name=worker, started_at=now, seen_at=now)
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"seen_at": now}))


def dead(session: Session, *, by_silence: bool = True) -> list[str]:
    """List workers whose process on this machine is gone, and, ``by_silence``, those whose heartbeat has stopped."""
    workers = session.execute(select(Worker.name, Worker.seen_at))
    latest = clock.now() - DEAD_AFTER
    return [name for name, seen_at in workers if (by_silence and seen_at < latest) or _gone(name)]


def _gone(worker: str) -> bool:
    machine, _, rest = worker.rpartition("/")[0].rpartition("/")
    if machine != _machine() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def forget(session: Session, workers: list[str]) -> None:
    """Strike workers from the list, their claims having been put back."""
    session.execute(delete(Worker).where(Worker.name.in_(workers)))


class Heartbeat:
    """Beats in a thread of its own, so that a long hand-over does not look like death."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)
        self._since: datetime | None = None

    def start(self) -> None:
        """Beat once, here and now, then go on in the thread."""
        self.beat()
        self._thread.start()

    def beat(self) -> None:
        """Beat once.

        Raises:
            SQLAlchemyError: while the database takes nothing; what comes after it is a new beginning.
        """
        try:
            with db.current().write() as session:
                beat(session, self._worker)
        except OUTAGES:
            self._since = None
            raise
        self._since = self._since or clock.now()

    def steady(self) -> bool:
        """Tell whether it has been beating without a break for long enough to judge others by their silence."""
        return self._since is not None and clock.now() - self._since >= _STEADY_AFTER

    def stop(self) -> None:
        """Stop beating and strike the worker from the list."""
        self._stop.set()
        self._thread.join()
        with db.current().write() as session:
            forget(session, [self._worker])

    def _run(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            try:
                self.beat()
            except OUTAGES:
                logger.warning("The heartbeat could not be written; it is tried again", exc_info=True)
