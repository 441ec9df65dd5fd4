"""What a rate lets leave and does not leave is there for others; what a provider answers shows that it is there."""

from datetime import timedelta

import pytest

from backend.channels.base import Channel, Outcome, Scope
from backend.channels.smtp_places import Busy
from backend.db.leases import Lease
from backend.db.session import Database
from backend.delivery import consequences, places
from backend.delivery.choice import Choice
from backend.delivery.gate import OPEN
from backend.delivery.group import Group
from backend.delivery.health import Tally
from backend.delivery.passage import Passage
from backend.delivery.providers import Block, Held, State
from backend.delivery.queues import Tails
from backend.delivery.rates import Rates, _Rate
from backend.delivery.record import Result
from backend.lib import clock
from tests.conftest import MovableClock
from tests.delivery.desk import Desk
from tests.delivery.doubles import ManyAtOnce, Scripted
from tests.delivery.test_patience import MAIL, one


def test_a_turn_that_is_not_used_is_given_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.use(Scripted("mail"))
    now, rates = clock.elapsed(), desk.hand.rates
    monkeypatch.setattr(places, "of_message", lambda _message: (":domain:lab",))
    rates.of_places = True
    rates._rates["mail"] = whole = _Rate(1.0, 1.0, now, now, now, now, tokens=1.5)
    rates._rates["mail", ":domain:lab"] = domain = _Rate(1.0, 1.0, now, now, now, now, tokens=0.0)
    desk.accept()
    desk.hand.send_some()
    assert whole.tokens == 1.5, "the domain takes nothing now"
    domain.tokens = 1.0
    desk.clock.forward(seconds=0.01)
    desk.clock.set(minutes=2)
    whole.tokens, whole.filled = 1.5, clock.elapsed()
    desk.hand.send_some()
    assert whole.tokens == 0.5, "one has left"


@pytest.mark.parametrize("provider", [Scripted("mail"), ManyAtOnce("mail")])
def test_what_has_no_room_here_waits_without_an_attempt(desk: Desk, provider: Scripted) -> None:
    provider.answers, provider.taken = [Busy("no room", 2.0, 0.5)], []
    desk.use(provider, Scripted("other"))
    mails = [desk.accept(f"S-{number}") for number in range(3)]
    told = [desk.told(mail) for mail in mails]
    for _ in range(30):
        desk.hand.send_some()
        desk.clock.forward(hours=1)
    assert [desk.told(mail) for mail in mails] == told, "it is no event"
    assert {(desk.row(mail).status, desk.row(mail).attempts, desk.row(mail).error) for mail in mails} == {
        ("QUEUED", 0, None)
    }, "nor does it end by its age"
    desk.hand.send_some()
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
    state = State(clock.now(), {"mail": Held(Block.BROKEN.value, clock.now(), "no answer", 3, off=False)}, {})
    rates = Rates()
    for _ in range(100):
        rates.accepted("mail")
    claim = one(clock.now())
    with OPEN.passed(1) as place:
        passage = Passage(
            Group(Channel.EMAIL, [claim]),
            Choice([provider], state),
            place,
            Tally(),
            rates,
            Tails(),
            Lease("worker-one"),
        )
        result = Result(claim=claim, outcome=Outcome.THROTTLED, provider="mail", detail="later", scope=scope)
        consequences.follow_up(result, MAIL, provider, passage, clock.elapsed())
    assert state.faults("mail") == faults
