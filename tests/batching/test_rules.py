"""What holds for every batch: keys never mix, a duplicate joins once, and what fails fails whole."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from backend.batching import manage, preview, tasks
from backend.batching.keys import Key
from backend.channels.base import Channel
from backend.db.leases import Lease
from backend.db.models.batches import Batch, BatchMember
from backend.delivery.queueing import claims
from backend.delivery.queueing.fairness import FairScheduler
from backend.delivery.sending.send import Sender
from backend.intake.accept import Accepted, accept_many
from backend.registry import recipients, templates
from tests.batching.conftest import LIST, Harness, samples
from tests.factories import notification as body
from tests.smtp_server import SmtpServer

PARTS: dict[str, list[Any]] = {
    "aggregator_id": ["run-1", "run-2"],
    "type": ["EMAIL", "SMS"],
    "recipient": [["X_LAB"], ["X_TEAM"], ["X_TEAM", "X_LAB"]],
    "template_id": ["X_LIST", "X_ALSO"],
    "content_type": ["text", "html"],
    "subject": ["one", "two", ...],
}


@given(
    st.lists(st.tuples(*(st.sampled_from(values) for values in PARTS.values())), min_size=1, max_size=12),
)
@examples(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_keys_never_mix(harness: Harness, choices: list[tuple[Any, ...]]) -> None:
    for identifier in ("X_TEAM", "X_LAB"):
        harness.lab.recipient(identifier, ("EMAIL", "lab@lab.example"), ("SMS", "+447700900123"))
    for identifier in ("X_LIST", "X_ALSO"):
        harness.lab.template(identifier, LIST, format="text", subject="its own")
    expected: dict[tuple[Any, ...], list[str]] = {}
    for choice in choices:
        harness.lab.sent += 1
        values = dict(zip(PARTS, choice, strict=True))
        sample = f"S-{harness.lab.sent}"
        harness.accept(sample, **values)
        for recipient in values["recipient"]:
            key = tuple(None if part is ... else part for part in (values | {"recipient": recipient}).values())
            expected.setdefault(key, []).append(sample)
    found = {
        (one.aggregator_id, one.channel, one.recipient, one.template_id, one.content_type, one.subject): [
            member.fields["sample_id"] for member in one.notifications
        ]
        for aggregator in PARTS["aggregator_id"]
        for one in harness.waiting(aggregator)
    }
    assert found == expected
    harness.clock.forward(minutes=10)
    harness.work()
    assert not harness.waiting("run-1")
    assert not harness.waiting("run-2")


@given(st.lists(st.text(max_size=4), min_size=7, max_size=7), st.lists(st.text(max_size=4), min_size=7, max_size=7))
def test_two_keys_have_one_digest_only_if_they_are_equal(one: list[str], other: list[str]) -> None:
    def key(parts: list[str]) -> Key:
        aggregator_id, kind, recipient, template, content_type, subject, _ = parts
        return Key(
            service_id=len(parts[-1]),
            aggregator_id=aggregator_id,
            type=kind,
            recipient=recipient,
            template=template,
            content_type=content_type,
            subject=subject or None,
        )

    assert (key(one).digest() == key(other).digest()) == (key(one) == key(other))


def test_a_duplicate_joins_no_second_time(harness: Harness) -> None:
    first, again = harness.accept("S-1", "S-1")
    later = harness.accept("S-1")[0]
    assert first.notification_id == again.notification_id == later.notification_id
    assert [one.duplicate for one in (first, again, later)] == [False, True, True]
    assert [batch.members for batch in harness.waiting()] == [1]
    harness.clock.forward(minutes=2)
    harness.work()
    assert harness.accept("S-1")[0].status == "SENT"
    assert harness.waiting() == []


def test_the_database_refuses_a_second_place(harness: Harness) -> None:
    harness.accept("S-1")
    with harness.lab.database.read() as session:
        member = session.scalars(select(BatchMember)).one()
    twice = BatchMember(
        batch_id=member.batch_id,
        seq=2,
        notification_id=member.notification_id,
        channel_index=member.channel_index,
        recipient=member.recipient,
    )
    with pytest.raises(IntegrityError), harness.lab.database.transaction() as session:
        session.add(twice)


def test_one_notification_for_two_recipients_follows_both_batches(mail_harness: Harness, server: SmtpServer) -> None:
    mail_harness.lab.recipient("X_TEAM", ("EMAIL", "team@lab.example"))
    server.script.replies["team@lab.example"] = "550 5.1.1 no such mailbox"
    both = mail_harness.one("S-1", recipient=["X_LAB", "X_TEAM"])
    one = mail_harness.one("S-2")
    mail_harness.clock.forward(seconds=60)
    mail_harness.work()
    assert (mail_harness.report(both).status, mail_harness.report(one).status) == ("PARTIAL", "SENT")
    lab, team = mail_harness.report(both).channels[0].recipients
    assert [delivery.status for delivery in (*lab.deliveries, *team.deliveries)] == ["SENT", "FAILED"]


def test_what_cannot_render_fails_whole_and_goes_when_mended(mail_harness: Harness, server: SmtpServer) -> None:
    mail_harness.lab.recipient("X_LAB", ("EMAIL", "one@lab.example"), ("EMAIL", "two@lab.example"))
    sent = [one.notification_id for one in mail_harness.accept("S-1", "S-2")]
    mail_harness.lab.template("X_LIST", "{% for f in fields %}{{ f.absent }}{% endfor %}", format="text")
    mail_harness.clock.forward(seconds=60)
    mail_harness.work()
    report = mail_harness.report(sent[1])
    membership = mail_harness.membership(sent[1])
    assert (report.status, membership.status, membership.template_version) == ("FAILED", "FAILED", 2)
    assert membership.error is not None
    assert "Line 1" in membership.error
    assert [one.attempts for one in report.channels[0].recipients[0].deliveries] == [1, 1]
    assert server.messages == []
    assert preview.previews(mail_harness.lab.service_id, "run-1")[0][0].error is not None
    mail_harness.work()
    assert server.messages == []

    mail_harness.lab.template("X_LIST", LIST, format="text")
    manage.flush_now(mail_harness.lab.service_id, "run-1")
    assert mail_harness.report(sent[0]).status == "DISPATCHED"
    mail_harness.work()
    received = server.wait_for(2)
    assert [samples(one) for one in received] == [["S-1", "S-2"]] * 2
    deliveries = mail_harness.report(sent[1]).channels[0].recipients[0].deliveries
    assert {one.parsed["Message-ID"] for one in received} == {f"<{one.id}@lab.example>" for one in deliveries}
    assert [one.id for one in deliveries] == [one.id for one in report.channels[0].recipients[0].deliveries]
    membership = mail_harness.membership(sent[1])
    assert (mail_harness.report(sent[1]).status, membership.status, membership.error, membership.template_version) == (
        "SENT",
        "SENT",
        None,
        3,
    )


def test_the_member_that_breaks_a_batch_can_be_taken_out(mail_harness: Harness, server: SmtpServer) -> None:
    good, bad = (one.notification_id for one in mail_harness.accept("S-1", "S-2"))
    picky = "{% for f in fields %}[{{ f.sample_id }}]{% if f.sample_id == 'S-2' %}{{ f.absent }}{% endif %}{% endfor %}"
    mail_harness.lab.template("X_LIST", picky, format="text")
    mail_harness.clock.forward(seconds=60)
    mail_harness.work()
    assert mail_harness.report(good).status == "FAILED"
    assert manage.remove(mail_harness.lab.service_id, "run-1", _uid(bad)).status == "CANCELLED"
    manage.flush_now(mail_harness.lab.service_id, "run-1")
    mail_harness.work()
    assert samples(server.wait_for(1)[0]) == ["S-1"]
    assert (mail_harness.report(good).status, mail_harness.report(bad).status) == ("SENT", "CANCELLED")


@pytest.mark.parametrize("gone", ["recipient", "endpoint", "template"])
def test_a_batch_whose_ground_is_gone_fails_whole_with_its_reason(harness: Harness, gone: str) -> None:
    sent = harness.one("S-1")
    if gone == "endpoint":
        harness.lab.recipient("X_LAB", ("SMS", "+447700900123"))
    else:
        with harness.lab.database.transaction() as session:
            if gone == "recipient":
                recipients.delete(session, harness.lab.service_id, "X_LAB")
            else:
                templates.delete(session, harness.lab.service_id, "X_LIST")
    harness.clock.forward(seconds=60)
    harness.work()
    report, membership = harness.report(sent), harness.membership(sent)
    assert (report.status, membership.status, membership.template_version) == ("FAILED", "FAILED", None)
    assert membership.error is not None
    assert "X_LIST" in membership.error if gone == "template" else "X_LAB" in membership.error
    harness.lab.recipient("X_LAB", ("EMAIL", "lab@lab.example"))
    harness.lab.template("X_LIST", LIST, format="text")
    manage.flush_now(harness.lab.service_id, "run-1")
    harness.work()
    assert harness.report(sent).status == "SENT"


def test_what_is_held_back_gathers_and_goes_when_released(harness: Harness) -> None:
    harness.lab.template("X_LIST", LIST, format="text", batch={"max_items": 3})
    harness.accept("S-1")
    manage.pause(harness.lab.service_id, "run-1")
    harness.accept("S-2", "S-3", "S-4")
    harness.accept("S-5")
    harness.clock.forward(hours=1)
    harness.work()
    assert [(batch.status, batch.members, batch.held) for batch in harness.waiting()] == [
        ("CLOSED", 3, True),
        ("OPEN", 2, True),
    ]
    manage.release(harness.lab.service_id, "run-1")
    assert harness.waiting() == []
    last = harness.one("S-6")
    assert not harness.membership(last).held


def test_removed_members_leave_gaps_and_an_empty_batch_is_no_message(mail_harness: Harness, server: SmtpServer) -> None:
    ids = [one.notification_id for one in mail_harness.accept("S-1", "S-2", "S-3")]
    manage.remove(mail_harness.lab.service_id, "run-1", _uid(ids[1]))
    mail_harness.accept("S-4")
    alone = mail_harness.one("S-5", aggregator_id="run-2")
    manage.remove(mail_harness.lab.service_id, "run-2", _uid(alone))
    assert mail_harness.membership(alone).why == "empty"
    mail_harness.clock.forward(minutes=5)
    mail_harness.work()
    assert [samples(one) for one in server.wait_for(1)] == [["S-1", "S-3", "S-4"]]
    assert [mail_harness.report(one).status for one in (*ids, alone)] == ["SENT", "CANCELLED", "SENT", "CANCELLED"]
    assert mail_harness.report(ids[1]).events[-1].what.startswith("Taken out of the batch")
    assert len(server.messages) == 1


def test_a_clock_that_is_put_back_delays_nothing_for_long(harness: Harness) -> None:
    harness.clock.forward(days=1)
    sent = harness.one("S-1")
    harness.clock.forward(days=-1)
    harness.work()
    assert harness.membership(sent).closes_at == harness.clock() + timedelta(seconds=60)
    harness.clock.forward(seconds=60)
    harness.work()
    assert harness.report(sent).status == "SENT"


def test_what_is_due_already_is_not_put_off_by_a_late_member(harness: Harness) -> None:
    first = harness.one("S-1")
    harness.clock.forward(seconds=61)
    harness.accept("S-2")
    harness.work()
    assert harness.report(first).status == "SENT"
    assert harness.membership(first).members == 2


def test_a_timer_looks_again_when_the_moment_has_moved(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    armed: list[tuple[int, float]] = []
    monkeypatch.setattr(
        type(tasks.look), "__call__", lambda _task, *args, delay=0.0, **_options: armed.append((args[0], delay))
    )
    sent = harness.one("S-1")
    harness.clock.forward(seconds=30)
    harness.accept("S-2")
    harness.clock.forward(seconds=30)
    (batch_id, delay) = armed.pop()
    assert (delay, armed) == (60.0, [])
    tasks.look.run(batch_id)
    assert armed == [(batch_id, 30.0)]
    harness.clock.forward(seconds=30)
    tasks.look.run(batch_id)
    assert harness.membership(sent).status == "DISPATCHED"
    tasks.look.run(batch_id)
    assert len(armed) == 2  # the second wakes the senders


def test_ten_thousand_members_are_one_message_complete_and_in_order(mail_harness: Harness, server: SmtpServer) -> None:
    mail_harness.lab.template("X_LIST", LIST, format="text", batch={"max_items": 10_000})
    names = [f"S-{number:05d}" for number in range(10_000)]
    for start in range(0, len(names), 250):
        group = names[start : start + 250]
        values = {"template_id": "X_LIST", "priority": "BATCH", "aggregator_id": "run-1", "content_type": "text"}
        outcomes = accept_many([mail_harness.lab.submission(body(name, **values)) for name in group], lambda _new: None)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    mail_harness.work()
    assert [samples(received) for received in server.wait_for(1)] == [names]
    with mail_harness.lab.database.read() as session:
        (batch,) = session.scalars(select(Batch))
        assert (batch.members, batch.status) == (10_000, "SENT")


def test_a_lost_claim_sends_the_same_message_again(mail_harness: Harness, server: SmtpServer) -> None:
    mail_harness.accept("S-1", "S-2")
    mail_harness.clock.forward(seconds=60)
    tasks.sweep.run()
    token = Lease("worker-dead").ready()
    with mail_harness.lab.database.transaction() as session:
        (taken,) = claims.claim(session, token, Channel.EMAIL, limit=5, scheduler=FairScheduler())
    with mail_harness.lab.database.transaction() as session:
        claims.release(session, [taken])
    assert Sender("worker-two").send_some() == 1
    assert samples(server.wait_for(1)[0]) == ["S-1", "S-2"]


def _uid(notification_id: str) -> UUID:
    return UUID(notification_id)
