"""A worker that dies at each step of dispatching, on every channel: what had begun is unknown, the rest goes again.

The dead one is found by others who see its lease no longer extended, or cleans up itself as it stops.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.accounts.audit import Actor
from backend.channels.base import Channel, Provider, Receipt, Repeatable, StatusLookup
from backend.channels.registry import KINDS, WITHOUT_SETTING
from backend.delivery import again, tasks
from backend.delivery.outcomes import record
from backend.delivery.sending import dispatch, send
from backend.delivery.sending.send import Sender
from backend.monitoring import ledger
from tests.delivery.desk import Desk
from tests.delivery.doubles import LookupOne, RepeatableOne, Scripted, down
from tests.vendors.kinds import CASES

_RECIPIENTS = {
    Channel.EMAIL: "lab@lab.example",
    Channel.SLACK: "#samples",
    Channel.FRESHSERVICE: "desk@lab.example",
    Channel.MSTEAMS: "https://prod-1.westeurope.logic.azure.com/workflows/1?sig=1",
    Channel.SMS: "+4915112345678",
    Channel.LETTER: "Ada Lovelace\n12 High Street\nLondon",
    Channel.APPRISE: "json://lab.example/path",
}


class Death(BaseException):
    """Nothing that the process would have done still happens."""


def every_provider() -> Iterator[tuple[Channel, str, Provider]]:
    """Make each kind of provider that there is."""
    for (channel, name), case in CASES.items():
        yield channel, name, KINDS[channel][name](case.example)
    for channel, of_folder in WITHOUT_SETTING.items():
        yield channel, "addresses", of_folder(Path("letters"))


_EVERY = [pytest.param(channel, real, id=f"{channel}-{name}") for channel, name, real in every_provider()]


def double(channel: Channel, real: Provider) -> Scripted:
    """Make a double that may be repeated, or asked, exactly if the real one may."""
    if isinstance(real, Repeatable):
        return RepeatableOne("one", channel=channel)
    return (LookupOne if isinstance(real.open(), StatusLookup) else Scripted)("one", channel=channel)


def dying(genuine: Callable[..., Any], *, done: bool) -> Callable[..., Any]:
    """Die before or after what is done."""

    def die(*given: Any, **named: Any) -> Any:
        if done:
            genuine(*given, **named)
        raise Death

    return die


# From the first to the last: what is patched, and whether it is done before the worker dies.
_STEPS = {
    "claimed": ((send.Sender, "_send"), False),
    "about to": ((dispatch, "_begin"), False),
    "begun": ((dispatch, "_begin"), True),
    "on the wire": ((Scripted, "send"), False),
    "taken": ((Scripted, "send"), True),
    "answered": ((record, "mark_all"), False),
    "marked": ((record, "mark_all"), True),
    "not finished": ((record, "finish"), False),
    "finished": ((record, "finish"), True),
}
_OUTCOME_UNKNOWN = {"begun", "on the wire", "taken", "answered"}
_TAKEN = {"taken", "answered", "marked", "not finished", "finished"}


@pytest.fixture
def crash(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def send_and_die(step: str) -> None:
        (module, name), done = _STEPS[step]
        with monkeypatch.context() as patch:
            patch.setattr(module, name, dying(getattr(module, name), done=done))
            with pytest.raises(Death):
                desk.sender.send_some()

    return send_and_die


def found_by_others(desk: Desk) -> Sender:
    other = Sender("worker-two")
    for _ in range(22):
        desk.clock.forward(seconds=1)
        other.lease.extend()
        tasks.recover(other)
    return other


def left_in_order(desk: Desk) -> Sender:
    desk.sender.lease.end()
    other = Sender("worker-two")
    tasks.recover(other)
    return other


@pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("step", _STEPS)
@pytest.mark.parametrize(("channel", "real"), _EVERY)
def test_what_a_dead_worker_had_begun_follows_the_policy_of_its_provider(
    desk: Desk, crash: Callable[[str], None], channel: Channel, real: Provider, step: str
) -> None:
    provider = double(channel, real)
    desk.use(provider)
    desk.lab.recipient("X_ONE", (channel.value, _RECIPIENTS[channel]))
    sent = desk.accept(type=channel.value, recipient=["X_ONE"], content_type="text", subject=_subject(channel))
    crash(step)
    resolved(desk, provider, sent, found_by_others(desk), step)


@pytest.mark.parametrize("step", ["about to", "taken", "marked"])
@pytest.mark.parametrize("kind", [RepeatableOne, LookupOne, Scripted])
def test_who_stops_in_order_leaves_the_same(
    desk: Desk, crash: Callable[[str], None], kind: type[Scripted], step: str
) -> None:
    provider = kind("one")
    desk.use(provider)
    sent = desk.accept()
    crash(step)
    resolved(desk, provider, sent, left_in_order(desk), step)


def resolved(desk: Desk, provider: Scripted, sent: str, other: Sender, step: str) -> None:
    """See that all comes to its end as it should after a death at this step."""
    if step in _OUTCOME_UNKNOWN and not isinstance(provider, Repeatable):
        outcome_unknown(desk, provider, sent, other, taken=step in _TAKEN)
    else:
        while other.send_some():
            pass
        twice = step in _OUTCOME_UNKNOWN & _TAKEN
        assert len(provider.taken) == (2 if twice else 1)
    assert desk.status(sent) == "SENT"
    assert sum("Sent to" in told for told in desk.told(sent)) <= 1
    with desk.lab.database.read() as session:
        assert [entry.imbalance for entry in ledger.balance(session)] == [0]


def _subject(channel: Channel) -> Any:
    return ... if channel in {Channel.SLACK, Channel.SMS} else "Late"


def outcome_unknown(desk: Desk, provider: Scripted, sent: str, other: Sender, *, taken: bool) -> None:
    """See that it is asked for, or waits for a person, and goes no second time by itself."""
    row = desk.row(sent)
    assert row.claimed_by is None
    assert row.attempts == 1, "the attempt counts"
    assert "stopped before it could write down the answer" in (row.error or "")
    if isinstance(provider, LookupOne):
        assert (row.status, row.doubt) == ("RETRYING", "ask")
        if taken:
            provider.known[str(row.uid)] = Receipt("T-1", "there already")
        desk.clock.forward(seconds=60)
        other.send_some()
        assert (provider.asked, len(provider.taken)) == (1, 1)
        return
    assert (row.status, row.doubt) == ("SENDING", "person")
    desk.clock.forward(hours=1)
    assert other.send_some() == 0
    assert len(provider.taken) == taken
    assert "Nobody knows whether one took this message" in "".join(desk.told(sent))
    decided = again.Decision.MARK_SENT if taken else again.Decision.RESEND
    assert again.decide(desk.lab.service_id, row.uid, decided, Actor("person", "ada@lab.example"))
    other.send_some()
    assert len(provider.taken) == 1


def test_what_a_living_worker_dropped_after_it_had_begun_is_of_unknown_outcome(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = Scripted("sms")
    desk.use(provider)
    sent = [desk.accept("S-1"), desk.accept("S-2")]

    def fail(*_given: Any) -> None:
        raise ValueError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(record, "mark_all", fail)
        with pytest.raises(ValueError, match="a defect"):
            desk.sender.send_some()
    tasks.recover(desk.sender)
    assert [desk.row(one).doubt for one in sent] == ["person", None]
    desk.drain()
    assert [desk.status(one) for one in sent] == ["DISPATCHED", "SENT"]
    assert provider.tries == 2


def test_an_attempt_of_a_provider_that_is_no_longer_set_waits_for_a_person(
    desk: Desk, crash: Callable[[str], None]
) -> None:
    desk.use(LookupOne("one"))
    sent = desk.accept()
    crash("taken")
    desk.use(Scripted("another"))
    left_in_order(desk)
    row = desk.row(sent)
    assert (row.status, row.doubt) == ("SENDING", "person")
    assert "Nobody knows whether one took this message" in (row.error or "")


def test_a_claim_that_was_put_back_has_begun_nothing(desk: Desk, crash: Callable[[str], None]) -> None:
    provider = Scripted("one", answers=[down(), None])
    desk.use(provider)
    sent = desk.accept()
    desk.sender.send_some()
    desk.clock.forward(minutes=10)
    crash("claimed")
    left_in_order(desk).send_some()
    assert (provider.tries, desk.status(sent)) == (2, "SENT"), "what the earlier attempt noted says nothing of this one"
