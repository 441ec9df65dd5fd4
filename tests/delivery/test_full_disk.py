"""A disk that takes no more, under a worker: nothing is lost, nothing goes twice, and it goes on when there is room."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from uuid import UUID

import pytest
from sqlalchemy import update
from sqlalchemy.exc import OperationalError

from backend.db.database import Database
from backend.db.leases import Lease
from backend.db.models.notifications import Delivery
from backend.delivery import tasks
from backend.delivery.outcomes import record
from backend.delivery.sending import send_context
from backend.lib.outages import OUTAGES
from tests.delivery.desk import Desk
from tests.delivery.doubles import ManyAtOnce, Scripted, down
from tests.full_disk import STATES, Disk


@pytest.fixture
def any_database(database: Database) -> Database:
    """Give SQLite alone, whose disk is a file of ours."""
    return database


@pytest.fixture
def disk(desk: Desk) -> Iterator[Disk]:
    yield Disk(desk.lab.database)
    send_context.UNLIMITED.close()


def ended(desk: Desk) -> None:
    """Bring what is left to its end, as the ticks of a worker do."""
    tasks.recover(desk.sender)
    desk.drain()


@pytest.mark.parametrize("kind", [Scripted, ManyAtOnce])
def test_what_left_while_the_disk_took_nothing_does_not_leave_again(
    desk: Desk, disk: Disk, kind: type[Scripted]
) -> None:
    provider = kind("one", before=lambda _message: disk.fill())
    desk.use(provider)
    ids = [desk.accept(f"S-{number}") for number in range(5)]
    with pytest.raises(OUTAGES):
        desk.sender.send_some()
    left = provider.tries
    assert left == getattr(provider, "burst", 1), "after the first fault nothing more leaves"
    for _ in range(3):
        with pytest.raises(OUTAGES):
            tasks.recover(desk.sender)
    assert len(desk.sender.holding) == left
    disk.free_up()
    provider.before = None
    ended(desk)
    assert Counter(Counter(message.delivery_id for message in provider.taken).values()) == {1: 5}
    assert {desk.status(one) for one in ids} == {"SENT"}
    assert [sum("Sent to" in told for told in desk.told(one)) for one in ids] == [1] * 5
    assert not desk.sender.holding


def test_what_can_never_be_written_down_does_not_stand_in_the_way(
    desk: Desk, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Scripted("one", before=lambda _message: disk.fill())
    desk.use(provider)
    sent = desk.accept()
    with pytest.raises(OUTAGES):
        desk.sender.send_some()
    disk.free_up()

    def broken(*_arguments: object) -> None:
        raise ValueError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(record, "finish", broken)
        tasks.recover(desk.sender)
    assert (desk.status(sent), desk.row(sent).claimed_by, provider.tries) == ("SENT", None, 1)


def test_a_refusal_is_not_forgotten_either(desk: Desk, disk: Disk) -> None:
    provider = Scripted("one", answers=[down(), None], before=lambda _message: disk.fill())
    desk.use(provider)
    sent = desk.accept()
    with pytest.raises(OUTAGES):
        desk.sender.send_some()
    disk.free_up()
    provider.before = None
    ended(desk)
    assert (provider.tries, desk.row(sent).status, desk.row(sent).attempts) == (1, "RETRYING", 1)
    desk.clock.forward(minutes=1)
    ended(desk)
    assert (provider.tries, desk.row(sent).status) == (2, "SENT")


@pytest.mark.parametrize("state", STATES)
def test_nothing_leaves_that_could_not_be_claimed(desk: Desk, disk: Disk, state: str) -> None:
    provider = Scripted("one")
    desk.use(provider)
    ids = [UUID(desk.accept(f"S-{number}")) for number in range(60)]
    with disk.filled(state):
        for _ in range(3):
            with suppress(*OUTAGES):  # of a full file SQLite may still change a row in its place
                ended(desk)
        assert state == "full" or provider.tries == 0
    ended(desk)
    assert Counter(Counter(message.delivery_id for message in provider.taken).values()) == {1: len(ids)}


def test_after_an_outage_every_worker_has_time_to_be_heard_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Lease("other")
    other.extend()
    held = desk.accept()
    for _ in range(3):
        tasks.recover(desk.sender)
        desk.clock.forward(seconds=6)
    with desk.lab.database.transaction() as session:
        session.execute(update(Delivery).values(status="SENDING", claimed_by="other"))

    def gone() -> None:
        raise OperationalError("SELECT", None, Exception("the database is away"))

    with monkeypatch.context() as away:
        away.setattr(desk.sender, "write_down", gone)
        with pytest.raises(OUTAGES):
            tasks.recover(desk.sender)
    for status in ("SENDING", "SENDING", "SENDING", "SENDING", "QUEUED"):
        tasks.recover(desk.sender)
        assert desk.row(held).status == status
        desk.clock.forward(seconds=5)
