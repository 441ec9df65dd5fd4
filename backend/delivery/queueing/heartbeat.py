"""The worker's heartbeat: it extends the lease of its process, so that a long dispatch does not look like death."""

import logging
import threading

from backend.db.leases import EXTEND_SECONDS, Lease
from backend.lib.outages import OUTAGES

logger = logging.getLogger(__name__)


class Heartbeat:
    """Extends a lease in a thread of its own."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Extend the lease once, here and now, then go on in the thread.

        Raises:
            SQLAlchemyError: while the database takes nothing.
        """
        self.lease.extend()
        self._thread.start()

    def stop(self) -> None:
        """End the lease.

        Raises:
            SQLAlchemyError: if the database cannot be told.
        """
        self._stop.set()
        self._thread.join()
        self.lease.end()

    def _run(self) -> None:
        while not self._stop.wait(EXTEND_SECONDS):
            try:
                self.lease.extend()
            except OUTAGES:
                logger.warning("The heartbeat could not be written; it is tried again", exc_info=True)
            except Exception:
                # Whatever it was, a process without a heartbeat is soon taken for dead.
                logger.exception("The heartbeat failed; it is tried again")
