"""A service that sends a spreadsheet, step by step as a worker does."""

import io
from dataclasses import dataclass

import pytest
from sqlalchemy import select

from backend.accounts.audit import Actor
from backend.channels.base import Channel
from backend.db.database import Database
from backend.db.models.notifications import Delivery
from backend.db.models.spreadsheets import Spreadsheet
from backend.jobs import control, queries, tasks
from tests.factories import Laboratory, laboratory

BY = Actor("person", "ada@lab.example")


@dataclass
class Bureau:
    """A service, and the spreadsheet that it sends."""

    lab: Laboratory
    job_id: int = 0

    def upload(self, text: str | bytes, channel: Channel = Channel.EMAIL, template: str = "X_SAMPLE") -> None:
        """Upload a file."""
        chosen = control.Upload(
            name="",
            file_name="people.csv",
            template=control.template_of(self.lab.service_id, template),
            channel=channel,
            subject="A sample" if channel is Channel.EMAIL else None,
        )
        raw = text.encode() if isinstance(text, str) else text
        self.job_id = control.upload(self.lab.service_id, chosen, io.BytesIO(raw), BY)

    def work(self) -> Spreadsheet:
        """Let a worker take its turn, and return how far it came."""
        tasks.turn.run(self.job_id)
        return self.sheet()

    def sheet(self) -> Spreadsheet:
        with self.lab.database.read() as session:
            return session.scalars(select(Spreadsheet).where(Spreadsheet.job_id == self.job_id)).one()

    def faults(self) -> list[tuple[int, str, str]]:
        """List row, column and reason of each fault."""
        with self.lab.database.read() as session:
            return [(one.row, one.column, one.reason) for one in queries.all_faults(session, self.job_id)]

    def addresses(self) -> list[str]:
        """List whom messages go to."""
        with self.lab.database.read() as session:
            return list(session.scalars(select(Delivery.address).order_by(Delivery.id)))

    def send(self) -> None:
        control.send(self.lab.service_id, self.job_id, None, BY)


@pytest.fixture
def bureau(database: Database) -> Bureau:
    return Bureau(laboratory(database))
