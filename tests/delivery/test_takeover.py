"""A worker that is stopped for longer than its lease lasts: what another has taken over is not sent by it again."""

from collections import Counter
from collections.abc import Callable

import pytest

from backend.channels.base import Channel, Message
from backend.db.leases import Lease
from backend.delivery import tasks
from backend.delivery.sending.send import Sender
from tests.delivery.desk import Desk
from tests.delivery.doubles import ManyAtOnce, RepeatableOne, Scripted

_CHAT = {"type": "SLACK", "recipient": ["X_TEAM"], "subject": ..., "content_type": "text"}


def stopped(desk: Desk, at: int, *, sending: Callable[[Sender], None]) -> Callable[[Message], None]:
    """Stop the process for 45 seconds while it hands over its message of this number; meanwhile another one works."""
    tries, other = 0, Sender("worker-two")

    def before(_message: Message) -> None:
        nonlocal tries
        tries += 1
        if tries == at:
            for _ in range(45):
                desk.clock.forward(seconds=1)
                other.lease.extend()
                tasks.recover(other)
            sending(other)

    return before


def work(other: Sender) -> None:
    while other.send_some():
        pass


def copies(provider: Scripted) -> Counter[int]:
    return Counter(Counter(message.delivery_id for message in provider.taken).values())


@pytest.mark.parametrize(("kind", "wire"), [(RepeatableOne, 1), (ManyAtOnce, 2)])
def test_mail_goes_twice_only_as_far_as_it_was_on_the_wire(desk: Desk, kind: type[Scripted], wire: int) -> None:
    provider = kind("mail")
    vars(provider)["repeatable"] = True
    provider.before = stopped(desk, 5, sending=work)
    desk.use(provider)
    sent = [desk.accept(f"S-{number}") for number in range(30)]
    desk.drain()
    assert copies(provider)[2] <= wire
    assert sum(copies(provider).values()) == 30
    assert {desk.status(one) for one in sent} == {"SENT"}
    assert [sum("Sent to" in told for told in desk.told(one)) for one in sent] == [1] * 30, "each is told of once"
    assert desk.sender.lease.token == "worker-one+2"


def test_a_chat_message_goes_once_and_the_one_on_the_wire_is_decided_by_its_late_answer(desk: Desk) -> None:
    provider = Scripted("slack", channel=Channel.SLACK)
    provider.before = stopped(desk, 5, sending=work)
    desk.use(provider)
    sent = [desk.accept(f"S-{number}", **_CHAT) for number in range(30)]
    desk.drain()
    assert copies(provider) == {1: 30}
    assert {desk.status(one) for one in sent} == {"SENT"}, "also that of which nobody knew for a while"
    assert {desk.row(one).doubt for one in sent} == {None}


def test_what_was_taken_over_and_not_sent_yet_is_not_sent_by_who_lost_it(desk: Desk) -> None:
    provider = RepeatableOne("mail")
    provider.before = stopped(desk, 5, sending=lambda _other: None)
    desk.use(provider)
    sent = [desk.accept(f"S-{number}") for number in range(30)]
    desk.sender.send_some()
    assert provider.tries == 5
    assert sorted({desk.row(one).status for one in sent}) == ["QUEUED", "SENT"]
    assert not desk.sender.holding
    desk.drain()
    assert copies(provider) == {1: 30}


def test_a_wall_clock_that_is_set_takes_nothing_from_anybody(desk: Desk) -> None:
    provider, other = RepeatableOne("mail"), Sender("worker-two")

    def before(_message: Message) -> None:
        for seconds in (3600, -7200, 3600):
            desk.clock.set(seconds=seconds)
            tasks.recover(other)

    provider.before = before
    desk.use(provider)
    for number in range(5):
        desk.accept(f"S-{number}")
    desk.drain()
    assert copies(provider) == {1: 5}
    assert desk.sender.lease.token == "worker-one"


def test_an_attempt_belongs_to_its_worker_until_what_follows_is_written(desk: Desk) -> None:
    provider = RepeatableOne("mail")
    desk.use(provider)
    sent = desk.accept()
    token = Lease("worker-two").ready()
    with desk.lab.database.transaction() as session:
        row = session.merge(desk.row(sent))
        row.status, row.claimed_by = "RETRYING", token
    assert desk.drain() == 0
