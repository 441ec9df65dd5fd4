"""Results that the database did not take, kept in memory until it does.

A message that has left the application while the disk was full or the database away must not leave it again, as it
would if its claim simply went back. So the worker keeps it, with what came of it, and marks it at a later tick.
"""

import logging
import threading
from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.channels.records import SUPPRESSIBLE
from backend.db import database as db
from backend.delivery.outcomes import conversations, record
from backend.delivery.outcomes.record import Result
from backend.delivery.queueing.claims import Claim
from backend.lib.outages import OUTAGES
from backend.registry import suppressions

logger = logging.getLogger(__name__)


# Addresses that a provider refuses as bad ones get nothing more from the service, as if they had bounced later.


def learn(session: Session, results: Sequence[Result]) -> None:
    """Suppress the addresses that a provider has refused as bad ones."""
    bad = {
        (result.claim.service_id, result.claim.channel, result.claim.address): result
        for result in results
        if result.bad_address and result.claim.channel in SUPPRESSIBLE
    }
    for (service_id, channel, address), result in sorted(bad.items(), key=lambda one: one[0]):
        if suppressions.suppress(session, service_id, channel, address, reason="bounced", detail=result.detail):
            told = {"reason": "bounced"}
            audit.record(
                session, audit.SYSTEM, "address.suppressed", f"{channel} {address}", service_id=service_id, detail=told
            )


class PendingResults:
    """The results of one worker process that wait for the database, by their deliveries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._results: dict[int, Result] = {}

    def without(self, claims: Sequence[Claim]) -> Sequence[Claim]:
        """Return the claims of which nothing is kept."""
        with self._lock:
            return [claim for claim in claims if claim.id not in self._results] if self._results else claims

    def keep(self, results: Iterable[Result]) -> None:
        """Keep results; it does no harm if some of them have been marked."""
        with self._lock:
            self._results |= {result.claim.id: result for result in results}

    def write_down(self, present: str) -> list[Claim]:
        """Mark what is kept, with what follows from it; return its claims, which nobody holds any more.

        ``present`` is the token that the worker has now.

        Raises:
            SQLAlchemyError: while the database takes nothing; then all of it stays kept.
        """
        with self._lock:
            results = list(self._results.values())
        if not results:
            return []
        try:
            _write(results, present)
        except OUTAGES:
            raise
        except Exception:
            # Kept for ever it would stand in the way of all repair; that finishes what has been marked.
            logger.exception("%d results could not be written down", len(results))
        with self._lock:
            return [result.claim for result in results if self._results.pop(result.claim.id, None)]


def _write(results: Sequence[Result], present: str) -> None:
    with db.current().single_statements() as run:
        marked = [result for result in results if record.mark(run, result, present)]
    with db.current().transaction() as session:
        for token in sorted({result.claim.token for result in marked}):
            mine = [one for one in marked if one.claim.token == token]
            conversations.remember(session, record.finish(session, mine, [], [], present))
        learn(session, marked)
