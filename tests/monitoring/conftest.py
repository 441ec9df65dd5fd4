"""A laboratory whose messages go to the outbox, and its ledger."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from backend.batching import tasks as batching
from backend.db.database import Database
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.monitoring import ledger
from backend.monitoring.ledger import Entry
from tests.conftest import MovableClock
from tests.factories import BATCH_HTML, Laboratory, laboratory, notification


@dataclass
class Harness:
    """Everything between acceptance and the ledger, step by step."""

    lab: Laboratory
    clock: MovableClock
    sender: Sender

    def accept(self, *samples: str, **changes: Any) -> list[str]:
        """Accept one notification for each sample, together; return their ids."""
        given = [self.lab.submission(notification(sample, **changes)) for sample in samples]
        outcomes = accept_many(given, lambda _priorities: None)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes
        return [str(outcome.notification_id) for outcome in outcomes]

    def buffer(self, *samples: str, **changes: Any) -> list[str]:
        """Accept BATCH notifications to ``X_TWO``, which has two addresses, and ``X_LAB``, which shares one."""
        names = {
            "priority": "BATCH",
            "aggregator_id": "run-1",
            "template_id": "X_LIST",
            "recipient": ["X_TWO", "X_LAB"],
        }
        return [
            one
            for sample in samples
            for one in self.accept(sample, **names | {"fields": {"sample-id": sample}} | changes)
        ]

    def work(self) -> None:
        """Dispatch the batches that are due and send everything that can be sent."""
        batching.sweep.run()
        while self.sender.send_some():
            pass

    def ledger(self) -> list[Entry]:
        """Draw up the ledger of the last two days."""
        with self.lab.database.read() as session:
            return ledger.balance(session)

    def today(self) -> dict[str, int]:
        """Return the figures of the last entry that are not zero; it must be even."""
        entry = self.ledger()[-1]
        assert entry.imbalance == 0, entry.describe()
        return {name: getattr(entry, name) for name in (ledger.ACCEPTED, *ledger.STATES) if getattr(entry, name)}


@pytest.fixture
def harness(any_database: Database, moving_clock: MovableClock) -> Iterator[Harness]:
    routes.routes.cache_clear()
    lab = laboratory(any_database)
    lab.recipient("X_TWO", ("EMAIL", "lab@lab.example"), ("EMAIL", "night@lab.example"))
    lab.template("X_LIST", BATCH_HTML)
    yield Harness(lab, moving_clock, Sender("worker-one"))
    routes.routes.cache_clear()
