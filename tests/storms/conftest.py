"""A laboratory whose worker processes send to a scripted SMTP server of the test's own."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from backend.db.database import Database
from backend.db.models.notifications import Delivery
from backend.intake.accept import Accepted, accept_many
from tests.factories import Laboratory, laboratory, notification
from tests.smtp_server import SmtpServer
from tests.storms.installation import Installation, wait_until


@dataclass
class Works:
    """Worker processes and what they work on."""

    lab: Laboratory
    server: SmtpServer
    home: Installation

    def accept(self, prefix: str, count: int) -> None:
        """Accept ``count`` notifications without waking anybody."""
        given = [self.lab.submission(notification(f"{prefix}-{number}")) for number in range(count)]
        outcomes = accept_many(given, lambda _priorities: None)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes), outcomes

    def statuses(self) -> Counter[str]:
        """Count the deliveries of each status."""
        with self.lab.database.read() as session:
            return Counter(dict(session.execute(select(Delivery.status, func.count()).group_by(Delivery.status)).all()))

    def holders(self) -> set[str]:
        """Name the workers that hold claims."""
        with self.lab.database.read() as session:
            held = select(Delivery.claimed_by).where(Delivery.status == "SENDING").distinct()
            return {name for name in session.scalars(held) if name}

    def wait_for(self, status: str, count: int, seconds: float = 60) -> float:
        """Wait until there are ``count`` deliveries of a status; return how many seconds it took."""
        return wait_until(
            lambda: self.statuses()[status] >= count, seconds, lambda: f"{self.statuses()}\n{self.home.lines()}"
        )

    def copies(self) -> Counter[str]:
        """Count how often each message came, by Message-ID."""
        return Counter(str(message.parsed["Message-ID"]) for message in self.server.messages)


@pytest.fixture
def works(any_database: Database, tmp_path: Path) -> Iterator[Works]:
    with SmtpServer() as server, Installation(tmp_path, server.address) as home:
        yield Works(laboratory(any_database), server, home)
