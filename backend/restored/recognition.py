"""Recognising a restored or copied database, and holding back what waits in it before anything goes out.

The database has an epoch and a counter that only grows; both are remembered outside as well. A database whose counter
is behind what is remembered, whose epoch nobody here knows, or that is not where it was made, began its life anew from
a copy. It gets a new epoch, and what waits in it is held back, once: the old epoch is kept, by which other machines see
that it has been dealt with.
"""

import logging
import secrets
import threading
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from backend.db.database import Database
from backend.db.models.installation import Installation
from backend.lib import clock, settings
from backend.lib.outages import OUTAGES
from backend.restored import detection, hold, marks, memory
from backend.restored.detection import Itself
from backend.restored.memory import Memory

logger = logging.getLogger(__name__)

# What was sent since the last count may be taken for not yet sent, if a backup is from just before.
COUNT_SECONDS = 15.0
_EARLIER_KEPT = 50
# So long is a look waited for that is under way when the process is to end.
_PATIENCE_SECONDS = 2.0
_QUICK_LOOK = "SELECT epoch, counter FROM installation"


class Seen(msgspec.Struct, frozen=True):
    """What a look has found; ``why`` and ``held`` are there if the database was recognised as a restored one."""

    epoch: str
    counter: int
    why: str | None
    held: Counter[str]


class NotLoaded(Exception):
    """The database has no row about itself: it is being loaded from a dump at this moment."""


class Recognition:
    """Looks at the database of this process, at the start and then again and again.

    It has connections of its own, whose commits wait for the disk: what is remembered outside must not be ahead of what
    a power cut leaves.
    """

    def __init__(self) -> None:
        self._database = Database(settings.current().database_url)
        self._lock = threading.Lock()
        self._known: Memory | None = None
        self._told = False

    def look(self, also: Memory | None = None) -> Seen:
        """Count one on; recognise a database that is not the one it was, and hold back what waits in it.

        ``also`` is what is remembered elsewhere than in this process and on this machine.
        """
        with self._lock:
            recalled = [one for one in (memory.recall(), self._known, also) if one is not None]
            with self._database.transaction() as session:
                seen = _look(self._database, session, recalled)
            self._known = Memory(seen.epoch, seen.counter)
            self._remember(seen)
        _tell(seen)
        return seen

    def _remember(self, seen: Seen) -> None:
        try:
            memory.remember(seen.epoch, seen.counter)
            self._told = False
        except OSError as error:
            if not self._told:
                logger.warning(
                    "The data directory does not take what is to be remembered of the database: %s", error.strerror
                )
            self._told = True

    def guard(self, database: Database) -> None:
        """Look before a new connection of ``database`` is used for anything, if it leads to another one than before."""

        @event.listens_for(database.engine, "connect")
        def _on_connect(connection: Any, _record: Any) -> None:
            row = connection.execute(_QUICK_LOOK).fetchone()
            if not database.is_sqlite:
                connection.rollback()
            known = self._known
            if known is None or row is None or row[0] != known.epoch or row[1] < known.counter:
                self.look()

    def close(self) -> None:
        """Close its connections."""
        self._database.close()


def _look(database: Database, session: Session, recalled: Sequence[Memory]) -> Seen:
    row = session.scalar(select(Installation).order_by(Installation.id).limit(1).with_for_update())
    if row is None:
        raise NotLoaded("The database is being loaded from a dump: wait until that has ended.")
    here = marks.of_database(database, session)
    itself = Itself(epoch=row.epoch or "", earlier=row.earlier or (), counter=row.counter, marks=row.marks or {})
    why = detection.why_restored(itself, here, recalled)
    held: Counter[str] = Counter()
    if why is not None:
        held = hold.hold(session, why, claims=True)
    if why is not None or row.epoch is None:
        row.earlier = [*itself.earlier, *([row.epoch] if row.epoch else [])][-_EARLIER_KEPT:]
        row.epoch = secrets.token_hex(16)
    row.marks = here if why is not None else itself.marks | here
    row.counter = max(row.counter, *(one.counter for one in recalled), 0) + 1
    row.counted_at = clock.now()
    return Seen(row.epoch or "", row.counter, why, held)


def _tell(seen: Seen) -> None:
    if seen.why is None:
        return
    if not seen.held.total():
        logger.info("%s Nothing waits in it, so it is taken as it is.", seen.why)
        return
    counts = ", ".join(f"{count} of {kind}" for kind, count in seen.held.items() if count)
    logger.warning(
        "The database is held. %s What waits in it may have been sent already, so none of it goes out (%s) until "
        "`carillon held release`, `mark-sent` or `cancel` decides; what is accepted from now on goes out.",
        seen.why,
        counts,
    )


def look_once() -> Seen:
    """Look at the database of this process before anything is served from it."""
    recognition = Recognition()
    try:
        return recognition.look(memory.recall_from_queue() if memory.queue_is_elsewhere() else None)
    finally:
        recognition.close()


class Watch:
    """Looks again and again in a thread of a worker, and before each new connection of it."""

    def __init__(self) -> None:
        self._recognition = Recognition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recognition", daemon=True)

    def start(self, database: Database) -> None:
        """Look once, here and now, then go on in the thread."""
        self._recognition.look()
        self._recognition.guard(database)
        self._thread.start()

    def stop(self) -> None:
        """Count a last time: what is copied from now on is up to date."""
        self._stop.set()
        self._thread.join(_PATIENCE_SECONDS)
        try:
            self._recognition.look()
        except Exception:  # whatever it is, the process ends
            logger.warning("The database could not be told that this worker stops", exc_info=True)
        self._recognition.close()

    def _run(self) -> None:
        while not self._stop.wait(COUNT_SECONDS):
            try:
                self._recognition.look()
            except OUTAGES:
                logger.warning("The database could not be looked at; it is tried again", exc_info=True)
            except Exception:
                logger.exception("The database could not be looked at; it is tried again")
