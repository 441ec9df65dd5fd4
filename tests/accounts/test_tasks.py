"""The housekeeping of accounts: what has expired is deleted once an hour, what counts stays."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from backend.accounts import sessions, tasks, users
from backend.db.database import Database
from backend.db.models.accounts import PortalSession, RevokedToken, UsedAssertion
from backend.db.models.operations import RateWindow
from backend.lib import clock, throttle
from tests.conftest import MovableClock
from tests.factories import laboratory


@pytest.fixture
def prepared(any_database: Database, moving_clock: MovableClock, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Store one of each that expires within minutes, and one of each that does not."""
    monkeypatch.setattr(tasks, "_hourly", throttle.Throttle())
    client = laboratory(any_database).client.id
    soon, late = clock.now() + timedelta(minutes=1), clock.now() + timedelta(days=1)
    with any_database.transaction() as session:
        session.add_all(
            [
                RevokedToken(jti="soon", expires_at=soon),
                RevokedToken(jti="late", expires_at=late),
                UsedAssertion(jti="soon", expires_at=soon),
                UsedAssertion(jti="late", expires_at=late),
                RateWindow(api_client_id=client, starts_at=int(clock.timestamp()), count=3),
                RateWindow(api_client_id=client, starts_at=int(late.timestamp()), count=4),
            ]
        )
        user = users.create_user(session, "ada@lab.example", "a long password")
        sessions.begin(session, user.id)
    return any_database


def kept(database: Database) -> tuple[list[str], list[str], list[int], int]:
    with database.read() as session:
        return (
            sorted(session.scalars(select(RevokedToken.jti))),
            sorted(session.scalars(select(UsedAssertion.jti))),
            sorted(session.scalars(select(RateWindow.count))),
            len(session.scalars(select(PortalSession.id)).all()),
        )


def test_what_has_expired_goes_and_what_counts_stays(prepared: Database, moving_clock: MovableClock) -> None:
    tasks.purge.run()
    assert kept(prepared) == (["late", "soon"], ["late", "soon"], [3, 4], 1)
    moving_clock.forward(minutes=59)
    tasks.purge.run()
    assert kept(prepared)[0] == ["late", "soon"], "it comes once an hour"
    moving_clock.forward(minutes=1)
    tasks.purge.run()
    assert kept(prepared) == (["late"], ["late"], [4], 1)


def test_sessions_go_when_they_are_over(prepared: Database, moving_clock: MovableClock) -> None:
    moving_clock.forward(hours=7, minutes=59)
    tasks.purge.run()
    assert kept(prepared)[3] == 1
    moving_clock.forward(hours=1)
    tasks.purge.run()
    assert kept(prepared)[3] == 0
