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
from backend.delivery import claims
from backend.delivery.send import Hand
from backend.delivery.turns import Turns
from backend.intake.accept import Accepted, accept_many
from backend.registry import recipients, templates
from tests.batching.conftest import LIST, Room, samples
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
def test_keys_never_mix(room: Room, choices: list[tuple[Any, ...]]) -> None:
    for identifier in ("X_TEAM", "X_LAB"):
        room.lab.recipient(identifier, ("EMAIL", "lab@lab.example"), ("SMS", "+447700900123"))
    for identifier in ("X_LIST", "X_ALSO"):
        room.lab.template(identifier, LIST, format="text", subject="its own")
    expected: dict[tuple[Any, ...], list[str]] = {}
    for choice in choices:
        room.lab.sent += 1
        values = dict(zip(PARTS, choice, strict=True))
        sample = f"S-{room.lab.sent}"
        room.accept(sample, **values)
        for recipient in values["recipient"]:
            key = tuple(None if part is ... else part for part in (values | {"recipient": recipient}).values())
            expected.setdefault(key, []).append(sample)
    found = {
        (one.aggregator_id, one.channel, one.recipient, one.template_id, one.content_type, one.subject): [
            member.fields["sample_id"] for member in one.notifications
        ]
        for aggregator in PARTS["aggregator_id"]
        for one in room.waiting(aggregator)
    }
    assert found == expected
    room.clock.forward(minutes=10)
    room.work()
    assert not room.waiting("run-1")
    assert not room.waiting("run-2")


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


def test_a_duplicate_joins_no_second_time(room: Room) -> None:
    first, again = room.accept("S-1", "S-1")
    later = room.accept("S-1")[0]
    assert first.notification_id == again.notification_id == later.notification_id
    assert [one.duplicate for one in (first, again, later)] == [False, True, True]
    assert [batch.members for batch in room.waiting()] == [1]
    room.clock.forward(minutes=2)
    room.work()
    assert room.accept("S-1")[0].status == "SENT"
    assert room.waiting() == []


def test_the_database_refuses_a_second_place(room: Room) -> None:
    room.accept("S-1")
    with room.lab.database.read() as session:
        member = session.scalars(select(BatchMember)).one()
    twice = BatchMember(
        batch_id=member.batch_id,
        seq=2,
        notification_id=member.notification_id,
        channel_index=member.channel_index,
        recipient=member.recipient,
    )
    with pytest.raises(IntegrityError), room.lab.database.write() as session:
        session.add(twice)


def test_one_notification_for_two_recipients_follows_both_batches(mail_room: Room, server: SmtpServer) -> None:
    mail_room.lab.recipient("X_TEAM", ("EMAIL", "team@lab.example"))
    server.script.replies["team@lab.example"] = "550 5.1.1 no such mailbox"
    both = mail_room.one("S-1", recipient=["X_LAB", "X_TEAM"])
    one = mail_room.one("S-2")
    mail_room.clock.forward(seconds=60)
    mail_room.work()
    assert (mail_room.report(both).status, mail_room.report(one).status) == ("PARTIAL", "SENT")
    lab, team = mail_room.report(both).channels[0].recipients
    assert [delivery.status for delivery in (*lab.deliveries, *team.deliveries)] == ["SENT", "FAILED"]


def test_what_cannot_render_fails_whole_and_goes_when_mended(mail_room: Room, server: SmtpServer) -> None:
    mail_room.lab.recipient("X_LAB", ("EMAIL", "one@lab.example"), ("EMAIL", "two@lab.example"))
    sent = [one.notification_id for one in mail_room.accept("S-1", "S-2")]
    mail_room.lab.template("X_LIST", "{% for f in fields %}{{ f.absent }}{% endfor %}", format="text")
    mail_room.clock.forward(seconds=60)
    mail_room.work()
    report = mail_room.report(sent[1])
    place = mail_room.place(sent[1])
    assert (report.status, place.status, place.template_version) == ("FAILED", "FAILED", 2)
    assert place.error is not None
    assert "Line 1" in place.error
    assert [one.attempts for one in report.channels[0].recipients[0].deliveries] == [1, 1]
    assert server.messages == []
    assert preview.previews(mail_room.lab.service_id, "run-1")[0][0].error is not None
    mail_room.work()
    assert server.messages == []

    mail_room.lab.template("X_LIST", LIST, format="text")
    manage.flush_now(mail_room.lab.service_id, "run-1")
    assert mail_room.report(sent[0]).status == "DISPATCHED"
    mail_room.work()
    received = server.wait_for(2)
    assert [samples(one) for one in received] == [["S-1", "S-2"]] * 2
    deliveries = mail_room.report(sent[1]).channels[0].recipients[0].deliveries
    assert {one.parsed["Message-ID"] for one in received} == {f"<{one.id}@lab.example>" for one in deliveries}
    assert [one.id for one in deliveries] == [one.id for one in report.channels[0].recipients[0].deliveries]
    place = mail_room.place(sent[1])
    assert (mail_room.report(sent[1]).status, place.status, place.error, place.template_version) == (
        "SENT",
        "SENT",
        None,
        3,
    )


def test_the_member_that_breaks_a_batch_can_be_taken_out(mail_room: Room, server: SmtpServer) -> None:
    good, bad = (one.notification_id for one in mail_room.accept("S-1", "S-2"))
    picky = "{% for f in fields %}[{{ f.sample_id }}]{% if f.sample_id == 'S-2' %}{{ f.absent }}{% endif %}{% endfor %}"
    mail_room.lab.template("X_LIST", picky, format="text")
    mail_room.clock.forward(seconds=60)
    mail_room.work()
    assert mail_room.report(good).status == "FAILED"
    assert manage.remove(mail_room.lab.service_id, "run-1", _uid(bad)).status == "CANCELLED"
    manage.flush_now(mail_room.lab.service_id, "run-1")
    mail_room.work()
    assert samples(server.wait_for(1)[0]) == ["S-1"]
    assert (mail_room.report(good).status, mail_room.report(bad).status) == ("SENT", "CANCELLED")


@pytest.mark.parametrize("gone", ["recipient", "endpoint", "template"])
def test_a_batch_whose_ground_is_gone_fails_whole_with_its_reason(room: Room, gone: str) -> None:
    sent = room.one("S-1")
    if gone == "endpoint":
        room.lab.recipient("X_LAB", ("SMS", "+447700900123"))
    else:
        with room.lab.database.write() as session:
            if gone == "recipient":
                recipients.delete(session, room.lab.service_id, "X_LAB")
            else:
                templates.delete(session, room.lab.service_id, "X_LIST")
    room.clock.forward(seconds=60)
    room.work()
    report, place = room.report(sent), room.place(sent)
    assert (report.status, place.status, place.template_version) == ("FAILED", "FAILED", None)
    assert place.error is not None
    assert "X_LIST" in place.error if gone == "template" else "X_LAB" in place.error
    room.lab.recipient("X_LAB", ("EMAIL", "lab@lab.example"))
    room.lab.template("X_LIST", LIST, format="text")
    manage.flush_now(room.lab.service_id, "run-1")
    room.work()
    assert room.report(sent).status == "SENT"


def test_what_is_held_back_gathers_and_goes_when_released(room: Room) -> None:
    room.lab.template("X_LIST", LIST, format="text", batch={"max_items": 3})
    room.accept("S-1")
    manage.hold_back(room.lab.service_id, "run-1")
    room.accept("S-2", "S-3", "S-4")
    room.accept("S-5")
    room.clock.forward(hours=1)
    room.work()
    assert [(batch.status, batch.members, batch.held) for batch in room.waiting()] == [
        ("CLOSED", 3, True),
        ("OPEN", 2, True),
    ]
    manage.release(room.lab.service_id, "run-1")
    assert room.waiting() == []
    last = room.one("S-6")
    assert not room.place(last).held


def test_removed_members_leave_gaps_and_an_empty_batch_is_no_message(mail_room: Room, server: SmtpServer) -> None:
    ids = [one.notification_id for one in mail_room.accept("S-1", "S-2", "S-3")]
    manage.remove(mail_room.lab.service_id, "run-1", _uid(ids[1]))
    mail_room.accept("S-4")
    alone = mail_room.one("S-5", aggregator_id="run-2")
    manage.remove(mail_room.lab.service_id, "run-2", _uid(alone))
    assert mail_room.place(alone).why == "empty"
    mail_room.clock.forward(minutes=5)
    mail_room.work()
    assert [samples(one) for one in server.wait_for(1)] == [["S-1", "S-3", "S-4"]]
    assert [mail_room.report(one).status for one in (*ids, alone)] == ["SENT", "CANCELLED", "SENT", "CANCELLED"]
    assert mail_room.report(ids[1]).events[-1].what.startswith("Taken out of the batch")
    assert len(server.messages) == 1


def test_a_clock_that_is_put_back_delays_nothing_for_long(room: Room) -> None:
    room.clock.forward(days=1)
    sent = room.one("S-1")
    room.clock.forward(days=-1)
    room.work()
    assert room.place(sent).closes_at == room.clock() + timedelta(seconds=60)
    room.clock.forward(seconds=60)
    room.work()
    assert room.report(sent).status == "SENT"


def test_what_is_due_already_is_not_put_off_by_a_late_member(room: Room) -> None:
    first = room.one("S-1")
    room.clock.forward(seconds=61)
    room.accept("S-2")
    room.work()
    assert room.report(first).status == "SENT"
    assert room.place(first).members == 2


def test_a_timer_looks_again_when_the_moment_has_moved(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    armed: list[tuple[int, float]] = []
    monkeypatch.setattr(
        type(tasks.look), "__call__", lambda _task, *args, delay=0.0, **_options: armed.append((args[0], delay))
    )
    sent = room.one("S-1")
    room.clock.forward(seconds=30)
    room.accept("S-2")
    room.clock.forward(seconds=30)
    (batch_id, delay) = armed.pop()
    assert (delay, armed) == (60.0, [])
    tasks.look.run(batch_id)
    assert armed == [(batch_id, 30.0)]
    room.clock.forward(seconds=30)
    tasks.look.run(batch_id)
    assert room.place(sent).status == "DISPATCHED"
    tasks.look.run(batch_id)
    assert len(armed) == 2  # the second wakes the senders


def test_ten_thousand_members_are_one_message_complete_and_in_order(mail_room: Room, server: SmtpServer) -> None:
    mail_room.lab.template("X_LIST", LIST, format="text", batch={"max_items": 10_000})
    names = [f"S-{number:05d}" for number in range(10_000)]
    for start in range(0, len(names), 250):
        group = names[start : start + 250]
        values = {"template_id": "X_LIST", "priority": "BATCH", "aggregator_id": "run-1", "content_type": "text"}
        outcomes = accept_many([mail_room.lab.submission(body(name, **values)) for name in group], lambda _new: None)
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    mail_room.work()
    assert [samples(received) for received in server.wait_for(1)] == [names]
    with mail_room.lab.database.read() as session:
        (batch,) = session.scalars(select(Batch))
        assert (batch.members, batch.status) == (10_000, "SENT")


def test_a_lost_claim_sends_the_same_message_again(mail_room: Room, server: SmtpServer) -> None:
    mail_room.accept("S-1", "S-2")
    mail_room.clock.forward(seconds=60)
    tasks.sweep.run()
    token = Lease("worker-dead").ready()
    with mail_room.lab.database.write() as session:
        (taken,) = claims.claim(session, token, Channel.EMAIL, limit=5, turns=Turns())
    with mail_room.lab.database.write() as session:
        claims.release(session, [taken])
    assert Hand("worker-two").send_some() == 1
    assert samples(server.wait_for(1)[0]) == ["S-1", "S-2"]


def _uid(notification_id: str) -> UUID:
    return UUID(notification_id)
