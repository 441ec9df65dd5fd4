"""What is kept of obligations, and for how long; a ledger that tells when one is lost; nothing after a restoration."""

from uuid import UUID

import pytest
from sqlalchemy import delete, func, select, update

from backend.db.database import Database
from backend.db.models.notifications import Notification
from backend.db.models.obligations import Obligation, ObligationStep
from backend.intake import escalation
from backend.monitoring import obligation_ledger
from backend.obligations import goals, retention
from backend.obligations.goals import Acknowledgement
from backend.restored import hold
from tests.conftest import MovableClock
from tests.factories import laboratory
from tests.intake.conftest import Counter
from tests.obligations.test_steps import owing


@pytest.fixture
def counter(database: Database, moving_clock: MovableClock) -> Counter:
    """Give SQLite alone: no database tells these apart."""
    made = Counter(laboratory(database))
    made.laboratory.recipient("X_DUTY", ("SMS", "+447700900123"))
    return made


def test_the_ledger_tells_when_an_obligation_is_lost(counter: Counter) -> None:
    counter.accepted(owing())
    database = counter.laboratory.database
    with database.transaction() as session:
        (entry,) = obligation_ledger.balance(session)
        assert (entry.opened, entry.open, entry.imbalance) == (1, 1, 0)
        session.execute(delete(ObligationStep))
        session.execute(delete(Obligation))
        (entry,) = obligation_ledger.balance(session)
    assert entry.imbalance == 1
    assert "≠" in entry.describe()


def test_what_ended_long_ago_is_forgotten_and_what_waits_is_not(counter: Counter, moving_clock: MovableClock) -> None:
    database, service = counter.laboratory.database, counter.laboratory.service_id
    answered, waiting = counter.accepted(owing()), counter.accepted(owing(subject="Another"))
    with database.transaction() as session:
        given = Acknowledgement("Ada", "API")
        goals.acknowledge(session, service, UUID(answered.notification_id), given)
    moving_clock.forward(days=31)
    with database.transaction() as session:
        assert retention.over(session) == []
        session.execute(update(Notification).values(uid=func.randomblob(16)))  # gone, for all that it names
        retention.purge(session, retention.over(session))
        left = session.scalars(select(Obligation.notification_uid)).all()
    assert [str(uid) for uid in left] == [waiting.notification_id]


def test_no_step_is_taken_of_a_restored_database_before_somebody_has_decided(
    counter: Counter, moving_clock: MovableClock
) -> None:
    counter.accepted(owing())
    with counter.laboratory.database.transaction() as session:
        hold.hold(session, "tests", claims=False)
    moving_clock.forward(minutes=30)
    escalation.escalate.run()
    assert counter.usage() == {"EMAIL": 1}
