"""When a message comes back that nobody took now."""

import heapq
import random
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest

from backend.channels.base import Channel, Message, Outcome, Scope
from backend.db.models.notifications import Priority
from backend.delivery.outcomes.record import Result, Waiting
from backend.delivery.providers.health import State
from backend.delivery.providers.rates import Rates, _Rate
from backend.delivery.queueing.claims import Claim
from backend.delivery.queueing.pacing import PacingQueues
from backend.delivery.sending import consequences
from backend.delivery.sending.send_context import Choice, SendContext
from backend.lib import clock
from tests.conftest import MovableClock
from tests.delivery.doubles import Scripted

KEY = ("mail", ":domain:lab")
MAIL = Message(
    delivery_id="1", channel=Channel.EMAIL, address="a@lab.example", sender="b@lab.example", subject=None, text="",
    message_id="1@lab.example",
)  # fmt: skip


@pytest.fixture
def context(moving_clock: MovableClock) -> SendContext:
    choice = Choice([Scripted("mail")], State(clock.now(), {}, {}))
    none = cast("Any", None)
    return SendContext(none, choice, none, none, Rates(), PacingQueues(), none)


def one(accepted_at: datetime, number: int = 1) -> Claim:
    return Claim(
        token="t", id=number, uid=uuid4(), notification_id=1, batch_id=None, service_id=1, priority=Priority.NORMAL,
        channel=Channel.EMAIL, address="a@lab.example", attempts=0, accepted_at=accepted_at, template_version_id=1,
        content_type="text", subject=None, fields={},
    )  # fmt: skip


@pytest.mark.parametrize(("rate", "backlog"), [(1, 100), (1, 500), (4, 2000)])
def test_a_queue_behind_a_slow_domain_is_served_at_its_rate(
    context: SendContext, moving_clock: MovableClock, rate: int, backlog: int
) -> None:
    random.seed(7)
    now = moving_clock.seconds
    context.rates._rates[KEY] = _Rate(rate, rate, now, now, now, now)
    back = [(clock.now(), number) for number in range(backlog)]
    looks = 0
    while back:
        due, number = heapq.heappop(back)
        moving_clock.forward(seconds=max(0.0, (due - clock.now()).total_seconds()))
        wait = context.rates.wait(KEY)
        looks += 1
        if wait is not None:
            until = consequences.for_permit(KEY, Priority.NORMAL, *wait, context).until
            assert until <= clock.now() + timedelta(seconds=62)
            heapq.heappush(back, (until, number))
    print(f"{backlog} at {rate}/s: {moving_clock.seconds:.0f} s, {looks / backlog:.1f} looks each")
    assert backlog / moving_clock.seconds >= 0.85 * rate


def test_a_message_that_is_refused_each_time_for_the_whole_account_comes_back_ever_more_seldom(
    context: SendContext, moving_clock: MovableClock
) -> None:
    odd, ordinary = one(clock.now(), 1), one(clock.now() - timedelta(hours=1), 2)
    tries = 0
    while clock.now() < odd.accepted_at + timedelta(hours=1):
        result = Result(claim=odd, outcome=Outcome.THROTTLED, provider="mail", detail="slow", scope=Scope.ACCOUNT)
        tries += 1
        waiting = consequences.conclude(odd, MAIL, context, [result], [])
        assert isinstance(waiting, Waiting)
        moving_clock.forward(seconds=(waiting.until - clock.now()).total_seconds())
    assert tries < 60, "else it would slow the provider down for all the others"
    refused = Result(claim=ordinary, outcome=Outcome.THROTTLED, provider="mail", detail="slow", scope=Scope.ACCOUNT)
    first = consequences.conclude(ordinary, MAIL, context, [refused], [])
    assert isinstance(first, Waiting)
    assert first.until - clock.now() < timedelta(seconds=1), "what was one too many once need not wait, however old"
