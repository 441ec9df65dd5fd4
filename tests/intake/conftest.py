"""A laboratory on each kind of database, and its way into intake."""

import threading
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select

from backend.db.models.notifications import Delivery, Event, Notification, Usage
from backend.delivery.tasks import New
from backend.intake.accept import Accepted, IntakeResult, Refused, accept_many
from backend.reports.model import NotificationReport
from tests import factories
from tests.factories import Laboratory

Answer = TypeVar("Answer")
TABLES = (Notification, Delivery, Usage, Event)


class Counter:
    """Takes submissions as an entry point does, and remembers what it was told to wake."""

    def __init__(self, laboratory: Laboratory) -> None:
        self.laboratory = laboratory
        self.wakes: list[New] = []

    def accept(self, *bodies: object) -> list[IntakeResult]:
        """Hand in bodies as one group."""
        return accept_many([self.laboratory.submission(body) for body in bodies], self.wakes.append)

    def accepted(self, body: object) -> Accepted:
        """Hand in one body that must be accepted."""
        (outcome,) = self.accept(body)
        assert isinstance(outcome, Accepted), outcome
        return outcome

    def refused(self, body: object) -> Refused:
        """Hand in one body that must be refused."""
        (outcome,) = self.accept(body)
        assert isinstance(outcome, Refused), outcome
        return outcome

    def report(self, outcome: IntakeResult) -> NotificationReport:
        """Read a notification back as its service sees it."""
        assert outcome.notification_id is not None
        return self.laboratory.report(outcome.notification_id)

    def rows(self) -> dict[str, int]:
        """Count the rows of every table that intake writes."""
        with self.laboratory.database.read() as session:
            return {table.__tablename__: session.scalar(select(func.count(table.id))) or 0 for table in TABLES}

    def usage(self) -> dict[str, int]:
        """Return the service's count by channel type."""
        wanted = select(Usage).where(Usage.service_id == self.laboratory.service_id)
        with self.laboratory.database.read() as session:
            return {row.channel: row.count for row in session.scalars(wanted)}


@pytest.fixture(params=["database", "postgres_database"], ids=["sqlite", "postgresql"])
def counter(request: pytest.FixtureRequest) -> Counter:
    """Give a laboratory's way into intake, on a database of either kind."""
    return Counter(factories.laboratory(request.getfixturevalue(request.param)))


def at_once(jobs: Collection[Callable[[], Answer]]) -> list[Answer]:
    """Run every job in a thread of its own, all beginning together, and return their answers in order."""
    barrier, answers = threading.Barrier(len(jobs)), dict[int, Any]()

    def run(index: int, job: Callable[[], Answer]) -> None:
        barrier.wait(30)
        answers[index] = job()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return [answers[index] for index in range(len(jobs))]
