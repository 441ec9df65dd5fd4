"""Clocks that are an hour ahead, and are put right: nothing stands still until the others have come so far."""

from datetime import timedelta

from sqlalchemy import select

from backend.channels.base import Channel, Outcome, ProviderError
from backend.db.models.providers import ProviderState
from backend.delivery import tasks
from tests.delivery.desk import Desk
from tests.delivery.doubles import Scripted

_CHAT = {"type": "SLACK", "recipient": ["X_TEAM"], "subject": ..., "content_type": "text"}


def due(desk: Desk, sent: str) -> timedelta:
    return desk.row(sent).due_at - desk.clock()


def test_what_a_web_process_ahead_of_us_accepts_is_sent_at_once(desk: Desk) -> None:
    desk.use(Scripted("slack", channel=Channel.SLACK))
    desk.clock.set(hours=1)
    sent = desk.accept(**_CHAT)
    desk.clock.set(hours=-1)
    assert desk.drain() == 0
    tasks.fix_clock_skew()
    desk.drain()
    assert desk.status(sent) == "SENT"


def test_a_retry_by_a_worker_ahead_of_us_waits_no_longer_than_its_pause(desk: Desk) -> None:
    desk.use(Scripted("slack", channel=Channel.SLACK, answers=[ProviderError(Outcome.RETRY, "busy"), None]))
    sent = desk.accept(**_CHAT)
    desk.clock.set(hours=1)
    desk.drain()
    desk.clock.set(hours=-1)
    assert due(desk, sent) > timedelta(hours=1)
    tasks.fix_clock_skew()
    first = due(desk, sent)
    assert timedelta() < first < timedelta(minutes=2)
    tasks.fix_clock_skew()
    assert due(desk, sent) == first, "once is enough"
    desk.clock.forward(minutes=2)
    desk.drain()
    assert desk.status(sent) == "SENT"


def test_what_waits_by_our_own_clock_goes_on_waiting(desk: Desk) -> None:
    desk.use(Scripted("slack", channel=Channel.SLACK, answers=[ProviderError(Outcome.RETRY, "busy", retry_after=7200)]))
    sent = desk.accept(**_CHAT)
    desk.drain()
    before = due(desk, sent)
    tasks.fix_clock_skew()
    assert due(desk, sent) == before >= timedelta(hours=2)


def test_a_provider_held_back_by_a_clock_ahead_of_ours(desk: Desk) -> None:
    with desk.lab.database.transaction() as session:
        session.add_all(
            ProviderState(
                provider=name,
                channel="SLACK",
                blocked_until=desk.clock() + timedelta(hours=1, minutes=1),
                block=block,
                last_fault_at=desk.clock() + ahead if ahead is not None else None,
            )
            for name, block, ahead in (
                ("one", "broken", timedelta(hours=1)),
                ("two", "pace", None),
                ("three", "throttled", timedelta()),
            )
        )
    tasks.fix_clock_skew()
    with desk.lab.database.read() as session:
        rows = session.execute(select(ProviderState.provider, ProviderState.blocked_until)).all()
    waits = {name: until - desk.clock() for name, until in rows}
    assert waits["one"] == timedelta(minutes=5)
    assert waits["two"] == timedelta()
    assert waits["three"] == timedelta(hours=1, minutes=1), "its provider asked for that"
