"""Retention: what is final and old goes with all that belongs to it, everything else stays."""

from collections import Counter

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from backend.db.database import Database
from backend.db.models.notifications import Delivery, Event, Notification, OutboxMessage, Usage
from backend.delivery import retention, tasks
from backend.delivery.providers import routes
from backend.delivery.sending.send import Sender
from backend.intake.accept import accept_many
from backend.lib import settings, throttle
from tests.conftest import MovableClock
from tests.delivery.conftest import Post
from tests.factories import laboratory, notification

TABLES = (Notification, Delivery, Event, OutboxMessage, Usage)


def rows(database: Database) -> dict[str, int]:
    with database.read() as session:
        return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES}


@pytest.fixture
def keeper(post: Post, monkeypatch: pytest.MonkeyPatch) -> Post:
    """Keep mail in the outbox, and let housekeeping begin anew."""
    monkeypatch.delenv("CARILLON_EMAIL_PROVIDERS")
    settings.current.cache_clear()
    routes.routes.cache_clear()
    monkeypatch.setattr(tasks, "_housekeeping", throttle.Throttle())
    return post


def test_what_is_final_and_old_goes_with_all_that_belongs_to_it(keeper: Post) -> None:
    keeper.accept(sample_id="old")
    refused = keeper.lab.submission(notification(template_id="X_NONE"))
    accept_many([refused], lambda _priorities: None)
    assert keeper.send() == 1
    assert rows(keeper.lab.database) == Counter(notifications=2, deliveries=1, events=1, outbox_messages=1, usage=1)
    keeper.clock.forward(days=30)
    tasks.purge.run()
    assert rows(keeper.lab.database)["notifications"] == 2, "thirty days are kept to the last second"
    keeper.clock.forward(hours=1)
    tasks.purge.run()
    assert rows(keeper.lab.database) == {
        "notifications": 0,
        "deliveries": 0,
        "events": 0,
        "outbox_messages": 0,
        "usage": 1,
    }


def test_what_is_unfinished_or_younger_stays_whole(keeper: Post) -> None:
    unfinished = keeper.accept(sample_id="unfinished")
    keeper.clock.forward(days=20)
    with keeper.lab.database.transaction() as session:
        waiting = session.scalars(select(Delivery)).one()
        waiting.due_at = waiting.due_at.replace(year=2027)
    younger = keeper.accept(sample_id="younger")
    assert keeper.send() == 1
    keeper.clock.forward(days=20)
    before = rows(keeper.lab.database)
    tasks.purge.run()
    assert rows(keeper.lab.database) == before
    assert keeper.report(unfinished).status == "DISPATCHED"
    assert keeper.report(younger).status == "SENT"
    keeper.clock.forward(days=11)
    tasks.purge.run()
    assert keeper.report(unfinished).status == "DISPATCHED"
    assert rows(keeper.lab.database) | {"usage": 0} == Counter(notifications=1, deliveries=1) | {
        "events": 0,
        "outbox_messages": 0,
        "usage": 0,
    }


def test_a_tick_deletes_a_chunk_and_the_next_goes_on(keeper: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "CHUNK", 3)
    for number in range(5):
        keeper.accept(sample_id=str(number))
    keeper.send()
    keeper.clock.forward(days=31)
    left = []
    for _ in range(2):
        tasks.purge.run()
        left.append(rows(keeper.lab.database)["notifications"])
    assert left == [2, 0]


def test_it_looks_once_an_hour(keeper: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Session] = []

    def look(session: Session) -> list[int]:
        looks.append(session)
        return []

    monkeypatch.setattr(retention, "old_notifications", look)
    for minutes in (0, 59, 1, 30, 31):
        keeper.clock.forward(minutes=minutes)
        tasks.purge.run()
    assert len(looks) == 3


def test_the_retention_is_a_setting(keeper: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARILLON_RETENTION_DAYS", "2")
    settings.current.cache_clear()
    keeper.accept()
    keeper.send()
    keeper.clock.forward(days=2, seconds=1)
    tasks.purge.run()
    assert rows(keeper.lab.database)["notifications"] == 0


def test_one_that_began_anew_since_the_look_stays(keeper: Post) -> None:
    """A refused notification that is sent again and accepted in the very moment must not be deleted."""
    refused = keeper.lab.submission(notification(template_id="X_LATER"))
    accept_many([refused], lambda _priorities: None)
    keeper.clock.forward(days=31)
    with keeper.lab.database.read() as session:
        old = retention.old_notifications(session)
    keeper.lab.template("X_LATER")
    accept_many([refused], lambda _priorities: None)
    with keeper.lab.database.transaction() as session:
        assert (len(old), retention.purge_notifications(session, old)) == (1, 0)
    assert keeper.send() == 1


def test_two_workers_share_what_is_to_be_deleted(postgres_database: Database, moving_clock: MovableClock) -> None:
    """On PostgreSQL a row that another worker is deleting is passed over instead of being waited for."""
    lab = laboratory(postgres_database)
    accept_many([lab.submission(notification(str(number))) for number in range(2)], lambda _priorities: None)
    Sender("worker-one").send_some()
    moving_clock.forward(days=31)
    with postgres_database.read() as session:
        old = retention.old_notifications(session)
    with postgres_database.transaction() as first, postgres_database.transaction() as second:
        assert retention.purge_notifications(first, old[:1]) == 1
        assert retention.purge_notifications(second, old) == 1
    assert rows(postgres_database)["notifications"] == 0
