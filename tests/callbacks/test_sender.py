"""The webhook sender: a message that a dead worker had claimed goes again with the same identity, and none is lost."""

from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import delete, event, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from backend.callbacks import claims, emit, housekeeping, posting, sender, tasks
from backend.callbacks.claims import Claim
from backend.callbacks.sender import WebhookSender
from backend.db.leases import Lease
from backend.db.models.callbacks import CallbackMessage
from backend.db.models.operations import Worker
from backend.lib import clock
from tests.callbacks.conftest import Line


@pytest.fixture
def waiting(each_line: Line) -> Line:
    """Give a line with one message to be posted."""
    each_line.register()
    each_line.accept()
    each_line.send()
    return each_line


def reap(line: Line) -> None:
    tasks.use(line.webhook_sender)
    try:
        housekeeping.reap.run()
        assert line.webhook_sender.wait(20)
    finally:
        tasks.use(None)


def test_a_kill_between_posting_and_recording_posts_it_again_with_the_same_id(
    waiting: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def killed(*_: object) -> None:
        raise SystemError

    with monkeypatch.context() as broken:
        broken.setattr(posting, "record", killed)
        waiting.post()
    assert "could not be posted or recorded" in caplog.text
    assert "s3cr3t" not in caplog.text
    assert len(waiting.receiver.posted) == 1
    assert waiting.messages()[0].attempts == 0
    assert waiting.post() == 0  # still claimed
    reap(waiting)
    first, second = waiting.receiver.posted
    assert (first.id, first.body) == (second.id, second.body)
    assert waiting.messages()[0].status == "DELIVERED"


def test_what_a_dead_worker_held_goes_back_and_what_a_living_one_holds_does_not(waiting: Line) -> None:
    with waiting.database.transaction() as session:
        session.add(Worker(name="worker-two", started_at=clock.now(), seen_at=clock.now()))
        session.execute(update(CallbackMessage).values(claimed_by="worker-two"))
    reap(waiting)
    assert waiting.receiver.posted == []
    with waiting.database.transaction() as session:
        session.execute(delete(Worker).where(Worker.name == "worker-two"))
    reap(waiting)
    assert len(waiting.receiver.posted) == 1


def test_a_result_that_comes_after_the_claim_was_lost_changes_nothing(waiting: Line) -> None:
    Lease("worker-one").extend()
    with waiting.database.transaction() as session:
        (claim,) = claims.claim(session, "worker-one", limit=5, busy={})
    with waiting.database.transaction() as session:
        claims.release(session, [claim.id], "worker-one", [])
    with waiting.database.transaction() as session:
        posting.record(session, claim, posting.Answer(status=500, error="The address answered 500."))
    assert (waiting.messages()[0].attempts, waiting.endpoint().failures) == (0, 0)


def test_two_webhook_senders_never_take_the_same_message(each_line: Line) -> None:
    each_line.register()
    for number in range(30):
        each_line.accept(f"S-{number}")
    each_line.send()
    other = WebhookSender("worker-two")
    for _ in range(30):
        each_line.webhook_sender.post_some()
        other.post_some()
    assert each_line.webhook_sender.wait(20)
    assert other.wait(20)
    each_line.post()
    assert len(each_line.receiver.posted) == 30
    assert len({one.id for one in each_line.receiver.posted}) == 30


def test_a_worker_that_stops_takes_up_nothing_more(waiting: Line) -> None:
    assert WebhookSender("worker-one", stopping=lambda: True).post_some() == 0
    assert waiting.messages()[0].attempts == 0


def test_a_tick_with_nothing_to_do_only_looks(waiting: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting.post()
    waiting.clock.forward(minutes=5)
    monkeypatch.setattr(sender.WebhookSender, "post_some", lambda _self: pytest.fail("it claimed"))
    monkeypatch.setattr(emit, "catch_up", lambda _session: pytest.fail("it looked back"))
    reap(waiting)


def test_the_task_is_a_wake_up_and_nothing_without_a_webhook_sender(waiting: Line) -> None:
    tasks.use(None)
    tasks.post.run()
    assert waiting.receiver.posted == []
    tasks.use(waiting.webhook_sender)
    tasks.post.run()
    tasks.use(None)
    assert waiting.webhook_sender.wait(20)
    assert len(waiting.receiver.posted) == 1


def test_messages_past_their_retention_are_forgotten(waiting: Line) -> None:
    waiting.post()
    with waiting.database.transaction() as session:
        assert housekeeping.purge_old(session) == 0
    waiting.clock.forward(days=31)
    with waiting.database.transaction() as session:
        assert housekeeping.purge_old(session) == 1
    assert waiting.messages() == []


def test_what_the_database_did_not_give_out_is_not_held(waiting: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = claims.claim

    def fail(_session: Session) -> None:
        raise OperationalError("COMMIT", None, Exception("the disk is full"))

    def interrupted(session: Session, *given: Any, **more: Any) -> list[Claim]:
        event.listen(session, "before_commit", fail)
        return claim(session, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(claims, "claim", interrupted)
        with pytest.raises(OperationalError):
            waiting.webhook_sender.post_some()
    assert not waiting.webhook_sender.holding
    assert waiting.post() == 1


def test_a_worker_that_was_taken_for_dead_posts_nothing_of_what_it_had(
    waiting: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = Lease.confirm

    def stopped(lease: Lease, token: str) -> None:
        """Stop for 45 seconds, while another worker strikes the lease out."""
        waiting.clock.forward(seconds=45)
        with waiting.database.transaction() as session:
            session.execute(delete(Worker))
        genuine(lease, token)

    with monkeypatch.context() as patch:
        patch.setattr(Lease, "confirm", stopped)
        waiting.post()
    assert waiting.receiver.posted == []
    reap(waiting)
    assert len(waiting.receiver.posted) == 1
    assert waiting.webhook_sender.lease.token == "worker-one+2"
    assert waiting.messages()[0].status == "DELIVERED"


def test_a_message_that_is_claimed_again_at_once_stays_claimed(waiting: Line) -> None:
    held = waiting.webhook_sender.holding
    token = waiting.webhook_sender.lease.ready()
    with waiting.database.transaction() as session:
        (first,) = claims.claim(session, token, limit=5, busy={})
    again = structs.replace(first)
    held.take([first])
    held.take([again])
    held.drop([first])
    held.drop([first])
    assert (first.token, first.id) in held
    held.drop([again])
    assert not held
