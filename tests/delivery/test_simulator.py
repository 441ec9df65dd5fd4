"""The simulator's addresses, each followed to its end, in every mode and on either database."""

from uuid import UUID

import pytest
from sqlalchemy import func, select

from backend.accounts.audit import Actor
from backend.callbacks import endpoints, subscriptions
from backend.channels.simulator import ADDRESSES, Fate
from backend.db.database import Database
from backend.db.models.accounts import Mode
from backend.db.models.callbacks import CallbackMessage
from backend.db.models.receipts import Suppression
from backend.delivery import tasks
from backend.delivery.outcomes import receipt_tasks, unknown_outcome
from backend.delivery.outcomes.unknown_outcome import Decision
from backend.intake.accept import Accepted, accept_many
from tests.delivery.conftest import Post
from tests.factories import notification

# The status of the delivery and the words of its events, from one to the next, in the order in which they come.
LIVES: dict[Fate, tuple[str, list[str]]] = {
    Fate.DELIVERED: ("DELIVERED", ["Sent to", "delivered to"]),
    Fate.BOUNCED: ("FAILED", ["Sent to", "which takes no mail"]),
    Fate.COMPLAINED: ("FAILED", ["Sent to", "delivered to", "complained of it"]),
    Fate.THROTTLED: ("DELIVERED", ["Held back for", "Sent to", "delivered to"]),
    Fate.UNKNOWN: ("SENDING", ["without an answer"]),
    Fate.REFUSED: ("FAILED", ["Refused for good"]),
    Fate.SOFT_BOUNCED: ("DELIVERED", ["to be tried again", "Sent to", "not delivered to", "delivered to"]),
    Fate.UNANSWERED: ("SENT", ["Sent to"]),
    Fate.LATE: ("DELIVERED", ["Sent to", "not delivered to", "delivered to"]),
}


@pytest.fixture
def any_engine(any_database: Database) -> Database:
    """Take each database: the queue does not matter here."""
    return any_database


def _through(post: Post, **changes: object) -> str:
    (outcome,) = accept_many([post.lab.submission(notification(**changes))], tasks.wake)
    assert isinstance(outcome, Accepted), outcome
    return outcome.notification_id


def _live_on(post: Post) -> None:
    """Let an hour pass, with all that workers do in it."""
    for seconds in (0, 2, 60, 60, 900, 2700):
        post.clock.forward(seconds=seconds)
        while post.send():
            pass
        receipt_tasks.reconcile.run()


# What the client is told, in the order in which it was written down.
TOLD: dict[Fate, list[str]] = {
    Fate.DELIVERED: ["notification.sent", "notification.delivered"],
    Fate.BOUNCED: ["notification.sent", "delivery.failed", "notification.failed"],
    Fate.COMPLAINED: ["notification.sent", "notification.delivered", "delivery.failed", "notification.failed"],
    Fate.THROTTLED: ["notification.sent", "notification.delivered"],
    Fate.UNKNOWN: [],
    Fate.REFUSED: ["delivery.failed", "notification.failed"],
    Fate.SOFT_BOUNCED: ["notification.sent", "notification.delivered"],
    Fate.UNANSWERED: ["notification.sent"],
    Fate.LATE: ["notification.sent", "notification.delivered"],
}


@pytest.mark.parametrize("kind", ["EMAIL", "SMS"])
def test_each_address_has_the_life_that_it_names(post: Post, kind: str) -> None:
    with post.lab.database.transaction() as session:
        own = (post.lab.client.id, post.lab.service_id)
        endpoints.register(session, *own, "https://hooks.lab.example/path", Actor("command", "tests"))
    subscriptions.clear()
    ids = {}
    for one in ADDRESSES:
        group = f"X_{one.fate.name}"
        post.lab.recipient(group, ("EMAIL", one.mailbox), ("SMS", one.number))
        ids[one.fate] = _through(post, recipient=[group], type=kind, content_type="text")
    _live_on(post)
    for fate, uid in ids.items():
        status, words = LIVES[fate]
        (delivery,) = post.deliveries(uid)
        assert (fate, delivery.status, delivery.provider) == (fate, status, "simulator")
        told = [event.what for event in post.report(uid).events[1:]]
        assert len(told) == len(words), (fate, told)
        assert all(part in sentence for part, sentence in zip(words, told, strict=True)), (fate, told)
        with post.lab.database.read() as session:
            own_messages = select(CallbackMessage.type).where(CallbackMessage.notification_uid == UUID(uid))
            assert (fate, session.scalars(own_messages.order_by(CallbackMessage.id)).all()) == (fate, TOLD[fate])
    assert post.server.messages == []
    with post.lab.database.read() as session:
        assert session.scalar(select(func.count(Suppression.id))) == 0


def test_what_is_late_waits_for_its_moment_and_what_bounced_bounces_again(post: Post) -> None:
    post.lab.recipient("X_LATE", ("EMAIL", "late@simulator.invalid"))
    post.lab.recipient("X_GONE", ("EMAIL", "bounced+7@simulator.invalid"))
    late, gone = _through(post, recipient=["X_LATE"]), _through(post, recipient=["X_GONE"])
    post.send()
    receipt_tasks.reconcile.run()
    assert [post.report(one).status for one in (late, gone)] == ["SENT", "FAILED"]
    post.clock.forward(minutes=9)
    receipt_tasks.reconcile.run()
    assert post.report(late).status == "SENT"
    post.clock.forward(minutes=1)
    receipt_tasks.reconcile.run()
    assert post.report(late).status == "DELIVERED"
    again = _through(post, recipient=["X_GONE"], subject="Another one")
    post.send()
    receipt_tasks.reconcile.run()
    assert "no such mailbox" in post.report(again).events[-1].what


def test_an_unknown_outcome_is_decided_by_a_person(post: Post) -> None:
    post.lab.recipient("X_DOUBT", ("EMAIL", "unknown@simulator.invalid"))
    uid = _through(post, recipient=["X_DOUBT"])
    post.send()
    (delivery,) = post.deliveries(uid)
    with post.lab.database.transaction() as session:
        row = unknown_outcome.Delivery.uid == UUID(delivery.id)
        identity = session.scalars(select(unknown_outcome.Delivery.id).where(row)).one()
        assert unknown_outcome.decide(session, identity, Decision.MARK_SENT, "somebody")
    assert post.report(uid).status == "SENT"


def test_a_mailbox_that_there_is_not_refuses(post: Post) -> None:
    post.lab.recipient("X_WRONG", ("EMAIL", "delivred@simulator.invalid"))
    uid = _through(post, recipient=["X_WRONG"])
    post.send()
    assert post.report(uid).status == "FAILED"
    assert post.server.messages == []


def test_a_test_is_delivered_in_a_moment_and_shown_and_does_not_leave(post: Post) -> None:
    client = post.lab.another(Mode.TEST)
    (outcome,) = accept_many([post.lab.submission(notification(), client)], tasks.wake)
    assert isinstance(outcome, Accepted)
    post.send()
    assert post.report(outcome.notification_id).status == "SENT"
    receipt_tasks.reconcile.run()
    report = post.report(outcome.notification_id)
    assert (report.status, report.mode) == ("DELIVERED", "test")
    assert post.server.messages == []
