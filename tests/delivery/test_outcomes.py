"""What each outcome leads to, on both databases: waiting without tries, failing over, asking, a person's decision."""

import logging
from typing import Any

import pytest

from backend.channels.base import Channel, Receipt
from backend.delivery import reaper, tasks
from backend.delivery.outcomes import unknown_outcome
from backend.delivery.outcomes.unknown_outcome import Decision
from backend.delivery.providers import health
from backend.delivery.sending.send import Sender
from backend.monitoring import ledger
from backend.monitoring import providers as provider_reports
from tests.delivery.desk import Desk
from tests.delivery.doubles import (
    LookupOne,
    PacedOne,
    RepeatableOne,
    Scripted,
    down,
    lost,
    misconfigured,
    refused,
    throttled,
)


def test_a_wrong_set_up_stops_the_route_and_uses_up_no_tries(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    provider = Scripted("mail", answers=[misconfigured()])
    desk.use(provider)
    sent = [desk.accept(f"S-{number}") for number in range(3)]
    with caplog.at_level(logging.ERROR):
        desk.drain()
    assert provider.tries == 1, "one finds out for all"
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert {desk.row(one).status for one in sent} == {"QUEUED"}
    assert {desk.row(one).attempts for one in sent} == {0}
    report = desk.providers()["mail"]
    assert (report.block, report.circuit, report.weight) == ("config", "open", 0.0)
    assert report.trouble == "mail is set up wrongly: 535 wrong password"
    desk.clock.forward(seconds=59)
    assert desk.drain() == 0
    for _ in range(20):  # it is looked at again every few minutes, for as long as it takes
        desk.clock.forward(seconds=301)
        assert desk.drain() == 1
    assert provider.tries == 21
    provider.answers = [None]
    desk.clock.forward(seconds=301)
    assert desk.drain() == 3
    assert len(provider.taken) == 3
    assert {desk.status(one) for one in sent} == {"SENT"}
    assert desk.providers()["mail"].circuit == "closed"


def test_a_route_goes_on_at_once_when_it_is_switched_on_by_hand(desk: Desk) -> None:
    provider = Scripted("mail", answers=[misconfigured(), None])
    desk.use(provider)
    sent = desk.accept()
    desk.drain()
    with desk.lab.database.transaction() as session:
        health.switch(session, "mail", on=True)
    desk.clock.forward(seconds=61)  # the message's own pause
    assert desk.drain() == 1
    assert desk.status(sent) == "SENT"


def test_a_provider_that_is_switched_off_gets_nothing(desk: Desk) -> None:
    first, second = Scripted("first"), Scripted("second")
    desk.use(first, second)
    with desk.lab.database.transaction() as session:
        health.switch(session, "first", on=False)
    desk.accept("S-1")
    desk.drain()
    assert (len(first.taken), len(second.taken)) == (0, 1)
    with desk.lab.database.transaction() as session:
        health.switch(session, "second", on=False)
    waits = desk.accept("S-2")
    assert desk.drain() == 0
    assert desk.row(waits).status == "QUEUED"
    assert desk.providers()["second"].trouble == "second is switched off by hand."
    with desk.lab.database.transaction() as session:
        health.switch(session, "first", on=True)
    desk.drain()
    assert len(first.taken) == 1
    with desk.lab.database.transaction() as session, pytest.raises(LookupError):
        health.switch(session, "nobody", on=False)


@pytest.mark.parametrize("fault", [down(), misconfigured(), throttled(5)], ids=["down", "config", "throttled"])
def test_a_fault_of_the_provider_goes_on_to_the_next(desk: Desk, fault: Any) -> None:
    first, second = Scripted("first", answers=[fault]), Scripted("second")
    desk.use(first, second)
    sent = [desk.accept(f"S-{number}") for number in range(3)]
    desk.drain()
    assert (first.tries, len(second.taken)) == (1, 3)
    assert {desk.status(one) for one in sent} == {"SENT"}
    assert {desk.row(one).provider for one in sent} == {"second"}


@pytest.mark.parametrize("fault", [refused(), lost()], ids=["refused", "unknown"])
def test_a_fault_of_the_message_stays_with_it(desk: Desk, fault: Any) -> None:
    first, second = RepeatableOne("first", answers=[fault, None]), Scripted("second")
    desk.use(first, second)
    desk.accept()
    desk.drain()
    assert (first.tries, second.tries) == (1, 0)


def test_throttling_holds_all_workers_back_until_the_moment_it_names(desk: Desk) -> None:
    provider = Scripted("mail", answers=[throttled(120), None])
    desk.use(provider)
    sent = [desk.accept(f"S-{number}") for number in range(3)]
    desk.sender.send_some()
    other = Sender("worker-two")
    assert other.send_some() == 0
    desk.clock.forward(seconds=119)
    assert desk.drain() + other.send_some() == 0
    assert sorted(desk.row(one).attempts for one in sent) == [0, 0, 0]
    report = desk.providers()["mail"]
    assert (report.block, report.reason) == ("throttled", "429 slow down")
    desk.clock.forward(seconds=2)
    assert other.send_some() == 3
    assert len(provider.taken) == 3
    assert provider.tries == 4


def test_throttling_without_a_moment_waits_longer_each_time_and_never_gives_up_within_the_day(desk: Desk) -> None:
    provider = Scripted("mail", answers=[throttled()])
    desk.use(provider)
    sent = desk.accept()
    for _ in range(200):
        desk.drain()
        desk.clock.forward(seconds=301)
    assert 10 < provider.tries < 150
    assert (desk.row(sent).status, desk.row(sent).attempts) == ("QUEUED", 0)
    provider.answers = [None]
    desk.clock.forward(hours=5)
    desk.drain()
    assert desk.status(sent) == "SENT"


def test_each_address_has_its_pace_over_all_workers(desk: Desk) -> None:
    slack = PacedOne("slack", channel=Channel.SLACK)
    desk.use(slack)
    changes = {"type": "SLACK", "recipient": ["X_TEAM"], "subject": ..., "content_type": "text"}
    sent = [desk.accept(f"S-{number}", **changes) for number in range(4)]
    urgent = desk.accept("S-now", **changes, priority="HIGH")
    desk.accept("S-others", **changes | {"recipient": ["X_OTHERS"]})
    senders = [desk.sender, Sender("worker-two")]
    pulses: list[list[str]] = []
    for _ in range(6):
        before = len(slack.taken)
        for sender in senders:
            while sender.send_some():
                pass
        pulses.append(slack.addresses[before:])
        desk.clock.forward(seconds=1)
    assert [one.count("#samples") for one in pulses[:5]] == [1, 1, 1, 1, 1]
    assert pulses[0].count("#others") == 1, "another address does not wait"
    assert slack.taken[0].urgent, "and HIGH has the first turn"
    assert {desk.row(one).attempts for one in [*sent, urgent]} == {1}
    assert {desk.status(one) for one in [*sent, urgent]} == {"SENT"}


def test_an_address_that_throttles_is_held_back_alone(desk: Desk) -> None:
    slack = PacedOne("slack", channel=Channel.SLACK, answers=[throttled(30), None])
    desk.use(slack)
    changes = {"type": "SLACK", "recipient": ["X_TEAM"], "subject": ..., "content_type": "text"}
    desk.accept("S-1", **changes)
    desk.drain()
    desk.accept("S-2", **changes)
    desk.accept("S-3", **changes | {"recipient": ["X_OTHERS"]})
    desk.clock.forward(seconds=5)
    desk.drain()
    assert slack.addresses == ["#others"]
    desk.clock.forward(seconds=27)
    desk.drain()
    assert slack.addresses == ["#others", "#samples"]


def test_a_webhook_that_is_down_or_revoked_concerns_nobody_else(desk: Desk) -> None:
    hooks = Scripted("hooks", channel=Channel.SLACK, answers=[misconfigured(), None])
    desk.use(hooks)
    desk.lab.recipient("X_BAD", ("SLACK", "https://hooks.slack.com/services/T0/B0/bad"))
    desk.lab.recipient("X_GOOD", ("SLACK", "https://hooks.slack.com/services/T0/B0/good"))
    changes = {"type": "SLACK", "subject": ..., "content_type": "text"}
    bad = desk.accept("S-1", **changes, recipient=["X_BAD"])
    desk.drain()
    also = desk.accept("S-2", **changes, recipient=["X_BAD"])
    good = desk.accept("S-3", **changes, recipient=["X_GOOD"])
    desk.drain()
    assert hooks.addresses == ["https://hooks.slack.com/services/T0/B0/good"]
    assert desk.status(good) == "SENT"
    assert (desk.row(bad).attempts, desk.row(also).attempts, desk.row(also).status) == (0, 0, "QUEUED")
    report = desk.providers()["hooks"]
    assert (report.trouble, report.waiting_addresses) == (None, 1)
    hooks.answers = [misconfigured()]
    for _ in range(20):
        desk.clock.forward(hours=2)
        desk.drain()
    assert (desk.row(bad).status, desk.row(also).status) == ("FAILED", "FAILED"), "but not for ever"


def test_what_is_repeatable_goes_again_by_itself(desk: Desk) -> None:
    provider = RepeatableOne("mail", answers=[lost(), None])
    desk.use(provider)
    sent = desk.accept()
    desk.drain()
    assert desk.row(sent).status == "RETRYING"
    desk.clock.forward(seconds=40)
    desk.drain()
    assert desk.status(sent) == "SENT"


@pytest.mark.parametrize("has_it", [True, False])
def test_a_provider_that_can_be_asked_is_asked_first(desk: Desk, has_it: bool) -> None:
    provider = LookupOne("tickets", answers=[lost(), None])
    desk.use(provider)
    sent = desk.accept()
    desk.drain()
    row = desk.row(sent)
    assert (row.status, row.doubt, provider.asked) == ("RETRYING", "ask", 0)
    if has_it:
        provider.known[str(row.uid)] = Receipt("T-77", "there already")
    provider.mute = True
    desk.clock.forward(seconds=40)
    desk.drain()
    assert (provider.asked, provider.tries, desk.row(sent).doubt) == (1, 1, "ask"), "no answer is not a no"
    provider.mute = False
    desk.clock.forward(seconds=90)
    desk.drain()
    row = desk.row(sent)
    assert (row.status, row.doubt) == ("SENT", None)
    assert row.provider_message_id == ("T-77" if has_it else "tickets-1")
    assert provider.tries == (1 if has_it else 2)


@pytest.mark.parametrize(
    ("decision", "status", "whole", "copies"),
    [
        (Decision.RESEND, "SENT", "SENT", 2),
        (Decision.MARK_SENT, "SENT", "SENT", 1),
        (Decision.FAIL, "FAILED", "FAILED", 1),
    ],
)
def test_everything_else_waits_for_a_person(
    desk: Desk, decision: Decision, status: str, whole: str, copies: int
) -> None:
    provider = Scripted("sms", answers=[lost(), None])
    desk.use(provider)
    sent = desk.accept()
    desk.drain()
    row = desk.row(sent)
    assert (row.status, row.doubt, row.claimed_by) == ("SENDING", "person", None)
    assert "Nobody knows whether sms took this message" in (row.error or "")
    assert desk.status(sent) == "DISPATCHED"
    desk.clock.forward(hours=3)
    with desk.lab.database.transaction() as session:
        assert reaper.orphaned(session, "worker-one", ()) == []
        (entry,) = ledger.balance(session)
        assert (entry.waiting, entry.imbalance) == (1, 0)
        (listed,) = provider_reports.outcome_unknown(session, desk.lab.service_id)
        assert listed.id == row.id
    tasks.recover(desk.sender)
    assert desk.drain() == 0
    with desk.lab.database.transaction() as session:
        assert unknown_outcome.decide(session, row.id, decision, "ada@lab.example")
        assert not unknown_outcome.decide(session, row.id, decision, "bob@lab.example"), "once is enough"
    desk.drain()
    row = desk.row(sent)
    assert (row.status, row.doubt, provider.tries, desk.status(sent)) == (status, None, copies, whole)
    assert any("ada@lab.example decided" in what for what in desk.told(sent))


def test_a_worker_that_dies_after_marking_an_unknown_outcome_leaves_the_unknown_outcome(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Scripted("sms", answers=[lost(), None])
    desk.use(provider)
    sent = desk.accept()

    def die(*_arguments: Any) -> None:
        raise OSError("killed")

    with monkeypatch.context() as patched:
        patched.setattr("backend.delivery.sending.send.record.finish", die)
        with pytest.raises(OSError, match="killed"):
            desk.sender.send_some()
    desk.sender.lease.end()
    tasks.recover(Sender("worker-two"))
    row = desk.row(sent)
    assert (row.status, row.doubt, row.claimed_by) == ("SENDING", "person", None)
    assert Sender("worker-two").send_some() == 0
    assert provider.tries == 1
