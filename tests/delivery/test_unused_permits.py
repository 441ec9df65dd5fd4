"""What a rate lets leave and does not leave is there for others; what a provider answers shows that it is there."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest

from backend.channels.base import Channel, Message, Outcome, ProviderError, Receipt, Scope
from backend.channels.smtp_capacity import Busy
from backend.db.database import Database
from backend.db.leases import Lease
from backend.delivery.outcomes.record import Result
from backend.delivery.providers import routes
from backend.delivery.providers.health import Block, BlockState, State, Tally
from backend.delivery.providers.rates import Rates, _Rate
from backend.delivery.queueing.claims import Group
from backend.delivery.queueing.pacing import PacingQueues
from backend.delivery.sending import consequences
from backend.delivery.sending.send_context import UNLIMITED, Choice, SendContext
from backend.lib import clock
from tests.conftest import MovableClock
from tests.delivery.desk import Desk
from tests.delivery.doubles import ManyAtOnce, Scripted
from tests.delivery.test_deferral import MAIL, one


def test_a_turn_that_is_not_used_is_given_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.use(Scripted("mail"))
    now, rates = clock.elapsed(), desk.sender.rates
    monkeypatch.setattr(routes, "of_message", lambda _message: (":domain:lab",))
    rates.of_destinations = True
    rates._rates["mail"] = whole = _Rate(1.0, 1.0, now, now, now, now, tokens=1.5)
    rates._rates["mail", ":domain:lab"] = domain = _Rate(1.0, 1.0, now, now, now, now, tokens=0.0)
    desk.accept()
    desk.sender.send_some()
    assert whole.tokens == 1.5, "the domain takes nothing now"
    domain.tokens = 1.0
    desk.clock.forward(seconds=0.01)
    desk.clock.set(minutes=2)
    whole.tokens, whole.filled = 1.5, clock.elapsed()
    desk.sender.send_some()
    assert whole.tokens == 0.5, "one has left"


def test_what_falls_to_the_next_provider_takes_its_turn_there(desk: Desk) -> None:
    first, second = Scripted("mail"), Scripted("other")
    first.answers = [ProviderError(Outcome.RETRY, "not this sender", scope=Scope.SENDER)]
    desk.use(first, second)
    now = clock.elapsed()
    desk.sender.rates._rates["other"] = rate = _Rate(0.5, 0.5, now, now, now, now, tokens=1.0)
    mails = [desk.accept(f"S-{number}") for number in range(3)]
    desk.sender.send_some()
    assert sorted(desk.status(mail) for mail in mails) == ["DISPATCHED", "DISPATCHED", "SENT"]
    assert rate.tokens < 1
    assert {desk.row(mail).attempts for mail in mails} == {0, 1}, "who waits for a turn has used up no try"


class OneAtMost(ManyAtOnce):
    """Begins the first of several messages alone, since there is no room for another one."""

    def send_all(self, messages: Sequence[Message]) -> Iterator[Receipt | ProviderError | None]:
        return super().send_all(messages[:1])


def test_one_alone_waits_for_room_and_those_under_way_with_it_go_back_at_once(desk: Desk) -> None:
    provider = OneAtMost("mail", answers=[Busy("no room", 2.0, 0.5)], burst=4)
    desk.use(provider)
    mails = [desk.accept(f"S-{number}") for number in range(8)]
    desk.sender.send_some()
    assert provider.tries == 2
    assert {(desk.row(mail).status, desk.row(mail).attempts) for mail in mails} == {("QUEUED", 0)}
    assert len({desk.row(mail).due_at for mail in mails}) == 8, "they come back one after the other"


@pytest.mark.parametrize("provider", [Scripted("mail"), ManyAtOnce("mail")])
def test_what_has_no_room_here_waits_without_an_attempt(desk: Desk, provider: Scripted) -> None:
    provider.answers, provider.taken = [Busy("no room", 2.0, 0.5)], []
    desk.use(provider, Scripted("other"))
    mails = [desk.accept(f"S-{number}") for number in range(3)]
    told = [desk.told(mail) for mail in mails]
    for _ in range(30):
        desk.sender.send_some()
        desk.clock.forward(hours=1)
    assert [desk.told(mail) for mail in mails] == told, "it is no event"
    assert {(desk.row(mail).status, desk.row(mail).attempts, desk.row(mail).error) for mail in mails} == {
        ("QUEUED", 0, None)
    }, "nor does it end by its age"
    desk.sender.send_some()
    assert [desk.row(mail).due_at - desk.clock() for mail in mails] == [timedelta(seconds=2 + n / 2) for n in range(3)]
    report = desk.providers()["mail"]
    assert (report.circuit, report.block, report.faults) == ("closed", "", 0)
    provider.answers = [None]
    desk.clock.forward(seconds=5)
    desk.drain()
    assert {desk.status(mail) for mail in mails} == {"SENT"}
    assert len(provider.taken) == 3, "it waits for its own provider"


@pytest.mark.parametrize(("scope", "faults"), [(Scope.RECIPIENT, 0), (Scope.ACCOUNT, 3)])
def test_who_takes_no_more_for_one_recipient_is_there(
    database: Database, moving_clock: MovableClock, scope: Scope, faults: int
) -> None:
    provider = Scripted("mail")
    state = State(clock.now(), {"mail": BlockState(Block.BROKEN.value, clock.now(), "no answer", 3, off=False)}, {})
    rates = Rates()
    for _ in range(100):
        rates.accepted("mail")
    claim = one(clock.now())
    with UNLIMITED.acquired(1) as slot:
        context = SendContext(
            Group(Channel.EMAIL, [claim]),
            Choice([provider], state),
            slot,
            Tally(),
            rates,
            PacingQueues(),
            Lease("worker-one"),
        )
        result = Result(claim=claim, outcome=Outcome.THROTTLED, provider="mail", detail="later", scope=scope)
        consequences.follow_up(result, MAIL, provider, context, clock.elapsed())
    assert state.faults("mail") == faults
