"""The worker's part in posting: a few threads of its own, so that slow addresses hold up no delivery."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Sequence

from sqlalchemy.exc import SQLAlchemyError

from backend.callbacks import claims, posting
from backend.callbacks.claims import Claim
from backend.db import database as db
from backend.db.leases import Lease, LostError
from backend.lib.in_flight import InFlight

logger = logging.getLogger(__name__)

_THREADS = 8


class WebhookSender:
    """Posts what is due, up to ``threads`` messages at a time; ``holding`` are those that it has claimed."""

    def __init__(self, lease: Lease | str, stopping: Callable[[], bool] | None = None, threads: int = _THREADS) -> None:
        self.lease = Lease(lease) if isinstance(lease, str) else lease
        self.stopping = stopping or (lambda: False)
        self.holding = InFlight()
        self._under_way = 0
        self._busy: Counter[int] = Counter()
        self._threads = threads
        self._claiming = threading.Lock()
        self._idle = threading.Condition()

    def post_some(self) -> int:
        """Take up what is due, as far as threads are free, and post each in a thread; return how many."""
        with self._claiming:
            capacity = self._threads - len(self.holding)
            if capacity <= 0 or self.stopping():
                return 0
            taken = self.lease.claim(lambda token: self._claim(token, capacity))
        for one in taken:
            with self._idle:
                self._under_way += 1
            threading.Thread(target=self._carry, args=[one], name="callback", daemon=True).start()
        return len(taken)

    def _claim(self, token: str, limit: int) -> Sequence[Claim]:
        taken: Sequence[Claim] = []
        try:
            with db.current().transaction() as session:
                taken = claims.claim(session, token, limit=limit, busy=self._busy)
                with self._idle:  # before others can see them as dropped
                    self.holding.take(taken)
                    self._busy.update(one.endpoint_id for one in taken)
        except Exception:
            self._let_go(taken)
            raise
        return taken

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is in flight, and no thread looks for more; tell whether that came in time."""
        with self._idle:
            return self._idle.wait_for(lambda: not self.holding and not self._under_way, seconds)

    def _carry(self, claim: Claim) -> None:
        try:
            self._post(claim)
            self._next()
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    def _post(self, claim: Claim) -> None:
        try:
            self.lease.confirm(claim.token)
            answer = posting.post(claim)
            with db.current().transaction() as session:
                posting.record(session, claim, answer)
        except LostError:
            logger.warning("The claim of a callback was lost; it is left to whoever has it")
        except Exception:
            # The claim is found as dropped and goes back.
            logger.exception("A callback could not be posted or recorded")
        finally:
            self._let_go([claim])

    def _let_go(self, taken: Sequence[Claim]) -> None:
        with self._idle:
            self.holding.drop(taken)
            self._busy.subtract(one.endpoint_id for one in taken)

    def _next(self) -> None:
        try:
            self.post_some()
        except SQLAlchemyError:
            logger.warning("The database did not give out callbacks; they wait for the next tick", exc_info=True)
