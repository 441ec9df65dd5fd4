"""A worker that stops while its database is away."""

import pytest
from sqlalchemy import text

from backend import worker
from backend.db.database import Database
from backend.db.leases import Lease
from backend.delivery.queueing import heartbeat
from backend.lib import processes


def test_a_worker_stops_even_when_the_database_cannot_be_told(
    any_engine: Database, caplog: pytest.LogCaptureFixture
) -> None:
    pulse = heartbeat.Heartbeat(Lease(processes.name()))
    pulse.start()
    with any_engine.transaction() as session:
        session.execute(text("ALTER TABLE workers RENAME TO away"))
    worker.leave(pulse)
    assert "its claims go back when it is missed" in caplog.text
