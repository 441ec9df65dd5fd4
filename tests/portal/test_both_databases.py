"""What the pages ask of the database answers alike on SQLite and PostgreSQL."""

from datetime import timedelta

from backend.accounts import sessions
from backend.db.database import Database
from backend.lib import clock
from backend.registry import csv_recipients, recipient_usage, recipients
from backend.reports import messages
from tests.conftest import MovableClock
from tests.portal.desk import desk
from tests.portal.people_and_messages import message, service, user


def test_the_outbox(any_database: Database, moving_clock: MovableClock) -> None:
    lab, other = service(any_database), service(any_database, "Proteomics")
    uids = [message(any_database, lab, f"Message {number}") for number in range(5)]
    foreign = message(any_database, other)
    with any_database.read() as session:
        first = messages.page(session, [lab], size=2)
        second = messages.page(session, [lab], before=first.older, size=2)
        back = messages.page(session, [lab], after=second.newer, size=2)
        assert [row.uid for row in first.rows + second.rows] == uids[:0:-1]
        assert (first.newer, back.rows, back.newer) == (None, first.rows, None)
        assert messages.newest(session, [lab]) == uids[-1]
        assert messages.newest(session, None) == foreign
        assert messages.newest(session, []) is None
        assert messages.message(session, [lab], foreign) is None
        found = messages.message(session, None, foreign)
    assert found is not None
    assert (found.service, found.created_at) == ("Proteomics", clock.now())


def test_a_session(any_database: Database, moving_clock: MovableClock) -> None:
    lab = service(any_database)
    ada = user(any_database, member_of=lab)
    with any_database.transaction() as session:
        value = sessions.begin(session, ada)
    moving_clock.forward(hours=7)
    viewer = sessions.resume(any_database, value)
    assert viewer is not None
    assert (viewer.email, viewer.reach) == ("ada@lab.example", (lab,))
    moving_clock.moment += sessions.IDLE - timedelta(seconds=1)
    assert sessions.resume(any_database, value, touch=False) is not None
    moving_clock.forward(seconds=1)
    assert sessions.resume(any_database, value) is None


def test_recipients_and_what_uses_them(any_database: Database) -> None:
    bench = desk(any_database)
    lab = bench.lab.service_id
    bench.accept("S-1")
    bench.accept("S-2")
    bench.buffer("S-3")
    with any_database.read() as session:
        used = recipient_usage.templates(session, lab, "X_LAB")
        waiting = recipient_usage.waiting(session, lab, "X_LAB")
        assert recipient_usage.templates(session, lab, "X_LA") == []
        found = [one.identifier for one in recipients.listed(session, lab, 10, None, "NIGHT@")[0]]
        assert [one.identifier for one in recipients.listed(session, lab, 10, "X_LAB")[0]] == ["X_TWO"]
        exported = "".join(csv_recipients.write(session, lab))
        plan = csv_recipients.plan(session, lab, exported)
    assert {one.identifier: one.messages for one in used} == {"X_SAMPLE": 2, "X_LIST": 1}
    assert (waiting.batches, waiting.messages) == (1, 2)
    assert found == ["X_TWO"]
    assert [change.kind for change in plan.changes] == ["same", "same"]
