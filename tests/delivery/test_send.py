"""Sending over a real SMTP server: what arrives, what is tried again, what is given up, and what the status says."""

import os
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from backend.db.leases import Lease
from backend.db.models.notifications import Delivery
from backend.db.models.operations import Worker
from backend.delivery import tasks
from backend.delivery.outcomes.record import Result
from backend.delivery.sending import send
from backend.delivery.sending.send import Sender
from backend.lib import processes
from tests.delivery.conftest import Post


def test_a_notification_arrives_with_subject_parts_and_identity(post: Post) -> None:
    sent = post.accept(sample_id="<b>S&1</b>")
    assert post.send() == 1
    (received,) = post.server.wait_for(1)
    message = received.parsed
    assert (received.envelope_to, message["To"]) == ("lab@lab.example", "lab@lab.example")
    assert message["Subject"] == "A sample has failed"
    assert message["From"] == "Laboratory <noreply@lab.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["X-Auto-Response-Suppress"] == "OOF, AutoReply"
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    assert html is not None
    assert "&lt;b&gt;S&amp;1&lt;/b&gt;" in html.get_content()
    assert text is not None
    assert "Sample <b>S&1</b>" in text.get_content()
    (delivery,) = post.deliveries(sent)
    assert message["Message-ID"] == f"<{delivery.id}@lab.example>"
    assert (delivery.status, delivery.attempts, delivery.error) == ("SENT", 1, None)
    assert delivery.provider is not None
    assert delivery.provider.startswith("smtp")
    assert post.report(sent).status == "SENT"


def test_text_content_is_sent_as_text_alone(post: Post) -> None:
    post.accept(content_type="text")
    post.send()
    (received,) = post.server.wait_for(1)
    assert received.parsed.get_content_type() == "text/plain"


def test_each_address_gets_its_own_message(post: Post) -> None:
    post.lab.recipient("X_TWO", ("EMAIL", "one@lab.example"), ("EMAIL", "two@lab.example"))
    post.accept(recipient=["X_TWO"])
    assert post.send() == 2
    received = post.server.wait_for(2)
    assert sorted(message.envelope_to for message in received) == ["one@lab.example", "two@lab.example"]
    assert sorted(message.parsed["To"] for message in received) == ["one@lab.example", "two@lab.example"]


def test_an_address_shared_by_two_groups_gets_one_message_shown_under_both(post: Post) -> None:
    post.lab.recipient("X_ALSO", ("EMAIL", "lab@lab.example"))
    sent = post.accept(recipient=["X_LAB", "X_ALSO"])
    assert post.send() == 1
    groups = post.report(sent).channels[0].recipients
    assert [group.recipient for group in groups] == ["X_LAB", "X_ALSO"]
    assert groups[0].deliveries == groups[1].deliveries


def test_greylisting_is_outwaited_and_one_copy_arrives(post: Post) -> None:
    post.server.script.greylist["lab@lab.example"] = 2
    sent = post.accept()
    post.send()
    (delivery,) = post.deliveries(sent)
    assert (delivery.status, delivery.attempts) == ("QUEUED", 0), "it uses up no try"
    assert delivery.error is not None
    assert "451 4.7.1 greylisted" in delivery.error
    assert post.report(sent).status == "DISPATCHED"
    assert post.send() == 0, "the pause is kept"
    post.clock.forward(seconds=29)
    assert post.send() == 0
    post.clock.forward(minutes=5)
    assert post.send() == 1
    post.clock.forward(minutes=2)
    assert post.send() == 0, "the second pause is longer"
    post.clock.forward(minutes=1)
    assert post.send() == 1
    assert len(post.server.wait_for(1)) == 1
    report = post.report(sent)
    assert report.status == "SENT"
    assert [event.what.split()[0] for event in report.events] == ["Accepted", "Held", "Held", "Sent"]
    assert "tried until 2026-03-03 09:00 UTC" in report.events[1].what, "and is told how long it has"
    assert post.deliveries(sent)[0].attempts == 1


def test_one_of_two_recipients_refused_for_good(post: Post) -> None:
    post.server.script.replies["gone@lab.example"] = "550 5.1.1 no such user"
    post.lab.recipient("X_TWO", ("EMAIL", "here@lab.example"), ("EMAIL", "gone@lab.example"))
    sent = post.accept(recipient=["X_TWO"])
    post.send()
    here, gone = post.deliveries(sent)
    assert (here.status, gone.status) == ("SENT", "FAILED")
    assert gone.error is not None
    assert "550 5.1.1 no such user" in gone.error
    assert post.report(sent).status == "PARTIAL"
    post.clock.forward(days=1)
    assert post.send() == 0, "a refusal for good is not tried again"


def test_a_server_that_is_down_loses_nothing(post: Post) -> None:
    post.server.script.greeting = "421 4.3.2 closing down"
    sent = [post.accept(sample_id=str(number)) for number in range(3)]
    assert post.send() == 3
    failed = [delivery for one in sent for delivery in post.deliveries(one)]
    assert {delivery.status for delivery in failed} == {"RETRYING"}
    assert all("421 4.3.2 closing down" in (delivery.error or "") for delivery in failed), "each says why"
    post.server.script.greeting = None
    post.clock.forward(seconds=40)
    assert post.send() == 3
    assert len(post.server.wait_for(3)) == 3
    assert {post.report(one).status for one in sent} == {"SENT"}


def test_a_connection_lost_in_mid_message_is_made_up_for(post: Post) -> None:
    post.server.script.drop, post.server.script.drop_times = "data", 1
    sent = post.accept()
    post.send()
    assert post.deliveries(sent)[0].status == "RETRYING"
    post.clock.forward(seconds=40)
    post.send()
    assert len(post.server.wait_for(1)) == 1
    assert post.report(sent).status == "SENT"


def test_an_unanswered_message_goes_again_with_the_same_identity(post: Post) -> None:
    post.server.script.drop, post.server.script.drop_times = "final", 1
    sent = post.accept()
    post.send()
    (delivery,) = post.deliveries(sent)
    assert delivery.status == "RETRYING"
    assert "without an answer" in post.report(sent).events[-1].what
    post.clock.forward(seconds=40)
    post.send()
    first, second = post.server.wait_for(2)
    assert first.parsed["Message-ID"] == second.parsed["Message-ID"]
    assert post.report(sent).status == "SENT"


def test_ten_tries_are_enough(post: Post) -> None:
    post.server.script.replies["lab@lab.example"] = "451 4.2.0 not now"
    sent = post.accept()
    tries = 0
    while post.send():
        tries += 1
        post.clock.forward(seconds=30 * 2**tries)
    (delivery,) = post.deliveries(sent)
    assert (tries, delivery.status, delivery.attempts) == (10, "FAILED", 10)
    assert delivery.error is not None
    assert "451 4.2.0 not now" in delivery.error
    assert post.report(sent).status == "FAILED"


def test_a_day_is_enough(post: Post) -> None:
    post.server.script.replies["lab@lab.example"] = "451 4.2.0 not now"
    sent = post.accept()
    post.send()
    post.clock.forward(hours=23, minutes=59, seconds=50)
    post.send()
    (delivery,) = post.deliveries(sent)
    assert (delivery.status, delivery.attempts) == ("FAILED", 2)


def test_high_goes_before_normal_however_late_it_comes(post: Post) -> None:
    normal = [post.accept(sample_id=f"n{number}") for number in range(3)]
    post.clock.forward(seconds=5)
    high = post.accept(sample_id="h", priority="HIGH")
    assert post.send(limit=1) == 1
    assert post.report(high).status == "SENT"
    assert post.send(high_only=True) == 0
    assert {post.report(one).status for one in normal} == {"DISPATCHED"}


def test_no_two_senders_hold_the_same_delivery(post: Post) -> None:
    for number in range(30):
        post.accept(sample_id=str(number))
    other = Sender("worker-two")
    assert post.send(limit=15) + other.send_some(limit=30) == 30
    assert post.send() == 0
    received = post.server.wait_for(30)
    assert len({message.parsed["Message-ID"] for message in received}) == len(received) == 30


def test_a_sender_that_is_asked_to_stop_puts_its_claims_back(post: Post) -> None:
    sent = [post.accept(sample_id=str(number)) for number in range(12)]
    stopping = Sender("stopping", stopping=lambda: len(post.server.messages) >= 1)
    assert stopping.send_some() == 12
    statuses = Counter(post.report(one).status for one in sent)
    assert statuses == {"SENT": 8, "DISPATCHED": 4}, "those that were under way at once are finished"
    assert post.send() == 4
    assert len(post.server.wait_for(12)) == 12


def test_a_burst_in_which_one_is_refused_and_one_is_greylisted_marks_each_with_its_own(post: Post) -> None:
    post.server.script.replies["gone@lab.example"] = "550 5.1.1 no such user"
    post.server.script.greylist["later@lab.example"] = 1
    names = ("here", "gone", "later", "there")
    post.lab.recipient("X_FOUR", *(("EMAIL", f"{name}@lab.example") for name in names))
    sent = post.accept(recipient=["X_FOUR"])
    assert post.send() == 4
    assert [one.status for one in post.deliveries(sent)] == ["SENT", "FAILED", "QUEUED", "SENT"]
    assert [one.attempts for one in post.deliveries(sent)] == [1, 1, 0, 1]
    post.clock.forward(seconds=40)
    assert post.send() == 1
    assert post.report(sent).status == "PARTIAL"
    again = post.accept(recipient=["X_FOUR"], sample_id="S-2")
    post.send()
    assert [one.status for one in post.deliveries(again)] == ["SENT", "FAILED", "SENT", "SENT"]
    assert "suppressed" in (post.deliveries(again)[1].error or ""), "the address was refused as a bad one"


def _left_by(post: Post, worker: str, **values: Any) -> str:
    sent = post.accept()
    with post.lab.database.transaction() as session:
        session.execute(update(Delivery).values(status="SENDING", claimed_by=worker, **values))
    return sent


def test_what_a_dead_worker_held_goes_back_and_out(post: Post) -> None:
    Lease("elsewhere").extend()
    sent = _left_by(post, "elsewhere")
    tasks.recover(post.sender)
    for _ in range(19):
        post.clock.forward(seconds=1)
        tasks.recover(post.sender)
        assert post.send() == 0, "its heart may still beat"
    post.clock.forward(seconds=1)
    tasks.recover(post.sender)
    with post.lab.database.read() as session:
        assert "elsewhere" not in session.scalars(select(Worker.name)).all()
    assert post.send() == 1
    report = post.report(sent)
    assert report.status == "SENT"
    assert "goes back" in report.events[1].what


def test_what_a_dead_worker_marked_is_finished_and_not_sent_again(post: Post) -> None:
    sent = _left_by(post, "never-seen")
    with post.lab.database.transaction() as session:
        session.execute(update(Delivery).values(status="SENT", attempts=1, provider="smtp://gone"))
    assert post.report(sent).status == "DISPATCHED"
    tasks.recover(post.sender)
    assert post.report(sent).status == "SENT"
    assert "Sent to lab@lab.example by smtp://gone (attempt 1)" in post.report(sent).events[-1].what
    tasks.recover(post.sender)
    assert len(post.report(sent).events) == 2, "once is enough"
    assert post.send() == 0


def test_what_a_living_worker_has_dropped_is_taken_up(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = post.accept()

    def fail(*_arguments: Any) -> None:
        raise OSError("the database went away")

    with monkeypatch.context() as patched:
        patched.setattr(send.record, "mark", fail)
        with pytest.raises(OSError, match="went away"):
            post.send()
    assert post.deliveries(sent)[0].status == "SENDING"
    tasks.recover(post.sender)
    assert post.send() == 1
    first, second = post.server.wait_for(2)
    assert first.parsed["Message-ID"] == second.parsed["Message-ID"], "its fate was unknown"


def test_what_a_thread_is_sending_is_left_to_it(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = post.accept()
    genuine = send.dispatch_one

    def while_repair_looks(*arguments: Any) -> Result:
        tasks.recover(post.sender)
        return genuine(*arguments)

    monkeypatch.setattr(send, "dispatch_one", while_repair_looks)
    assert post.send() == 1
    assert [event.what.split()[0] for event in post.report(sent).events] == ["Accepted", "Sent"]


def test_a_worker_whose_process_is_gone_is_dead_at_once(post: Post) -> None:
    # Above the greatest process id that Linux gives.
    gone = processes.name().replace(f"/{os.getpid()}.", "/4194304.")
    sent = _left_by(post, gone)
    Lease(gone).extend()
    Lease(processes.name()).extend()
    tasks.recover(post.sender)
    assert post.send() == 1
    assert post.report(sent).status == "SENT"
    with post.lab.database.read() as session:
        assert gone not in session.scalars(select(Worker.name)).all()


def test_claims_of_an_unknown_worker_go_back(post: Post) -> None:
    _left_by(post, "never-seen")
    tasks.recover(post.sender)
    assert post.send() == 1


def test_a_success_counts_even_when_the_claim_was_lost(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = post.accept()
    genuine = send.dispatch_one

    def taken_away_meanwhile(*arguments: Any) -> Result:
        with post.lab.database.transaction() as session:
            session.execute(update(Delivery).values(status="QUEUED", claimed_by=None))
        return genuine(*arguments)

    monkeypatch.setattr(send, "dispatch_one", taken_away_meanwhile)
    assert post.send() == 1
    assert post.report(sent).status == "SENT"
    assert post.send() == 0, "it is not sent again"


def test_the_first_pause_is_the_base_and_at_most_a_quarter_more(post: Post) -> None:
    post.server.script.replies["lab@lab.example"] = "451 4.2.0 not now"
    post.accept()
    post.send()
    with post.lab.database.read() as session:
        pause = session.scalars(select(Delivery.due_at)).one() - post.clock.moment
    assert timedelta(seconds=30) <= pause <= timedelta(seconds=37.5)
