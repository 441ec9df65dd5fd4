"""The rate that a provider bears is learned from its refusals, and kept to just below what it takes."""

from collections import deque
from collections.abc import Callable, Iterator

import pytest

from backend.delivery.providers.rates import Rates
from backend.lib import clock

HIGH, NORMAL = 1, 2


class Seconds:
    """A counter of seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Iterator[Seconds]:
    counter = Seconds()
    clock.use_counter(counter)
    yield counter
    clock.use_counter(None)


class Sink:
    """Takes ``most`` messages within ``window`` seconds, whichever they are."""

    def __init__(self, seconds: Seconds, most: int, window: float, *, sliding: bool) -> None:
        self._seconds, self._most, self._window, self._sliding = seconds, most, window, sliding
        self._taken: deque[float] = deque()
        self.accepted = self.refused = 0

    def takes(self) -> bool:
        now = self._seconds()
        start = now - self._window if self._sliding else now - now % self._window
        while self._taken and self._taken[0] <= start:
            self._taken.popleft()
        if len(self._taken) >= self._most:
            self.refused += 1
            return False
        self._taken.append(now)
        self.accepted += 1
        return True


def send(rates: list[Rates], seconds: Seconds, sink: Sink, messages: int, round_trip: float = 0.005) -> float:
    """Send as quickly as the rates let it, each process up to eight at once; return how long it took."""
    began = seconds()
    held = dict.fromkeys(range(len(rates)), 0.0)
    while sink.accepted < messages:
        for number, one in enumerate(rates):
            if seconds() < held[number]:
                continue
            begun = seconds()
            for _ in range(one.take("mail", NORMAL, 8, 0.0)):
                if sink.takes():
                    one.accepted("mail")
                elif pause := one.refused("mail", "mail", begun):
                    held[number] = seconds() + pause
        seconds.now += round_trip
    return seconds() - began


@pytest.mark.parametrize("sliding", [True, False])
@pytest.mark.parametrize("processes", [1, 2, 4])
def test_fourteen_a_second_are_reached_and_hardly_exceeded(seconds: Seconds, processes: int, *, sliding: bool) -> None:
    sink = Sink(seconds, 14, 1.0, sliding=sliding)
    took = send([Rates() for _ in range(processes)], seconds, sink, 1500)
    print(f"1500 messages at 14/s by {processes}: {took:.1f} s, {sink.refused} refused")
    assert took < (115 if processes < 4 else 119), "nine tenths of what it allows, when four share it"
    assert sink.refused < 150 * processes


@pytest.mark.parametrize(("most", "window"), [(100, 60.0), (2, 1.0), (14, 0.1), (1000, 60.0)])
def test_limits_of_other_lengths_are_nearly_reached_too(seconds: Seconds, most: int, window: float) -> None:
    sink = Sink(seconds, most, window, sliding=False)
    count = int(most * max(10, 60 / window))
    took = send([Rates()], seconds, sink, count)
    print(f"{count} messages at {most} in {window} s: {took:.1f} s, {sink.refused} refused")
    assert count / took >= 0.9 * most / window


def test_a_server_that_bears_more_is_given_more(seconds: Seconds) -> None:
    rates, slow = [Rates()], Sink(seconds, 14, 1.0, sliding=True)
    send(rates, seconds, slow, 200)
    quick = Sink(seconds, 140, 1.0, sliding=True)
    assert send(rates, seconds, quick, 3000) < 90
    assert rates[0].knows("mail")
    seconds.now += 700
    rates[0].accepted("mail")
    assert not rates[0].knows("mail"), "what was not refused for so long is no limit"


def test_faults_in_one_burst_are_one(seconds: Seconds) -> None:
    rates = Rates()
    for _ in range(100):
        rates.accepted("mail")
    begun = seconds()
    seconds.now += 0.5
    assert [rates.refused("mail", "mail", begun) for _ in range(50)] == [None] * 50
    seconds.now += 1
    assert rates.take("mail", NORMAL, 100, 0.0) > 4, "nine tenths of what it was, for one fault"


def test_where_nothing_was_ever_taken_all_wait(seconds: Seconds) -> None:
    rates = Rates()
    assert rates.refused("mail", "mail", seconds()) == 1.0
    seconds.now += 3000
    assert rates.refused("mail", "mail", seconds()) == 300.0, "a tenth of the time since"


def test_the_more_urgent_has_the_next_turn(seconds: Seconds, monkeypatch: pytest.MonkeyPatch) -> None:
    rates, order = Rates(), []
    rates.accepted("mail")
    rates.refused("mail", "mail", seconds())
    asked: list[Callable[[], int]] = [lambda: rates.take("mail", HIGH, 1, 0.0)]

    def wait(_seconds: float) -> None:
        # While a NORMAL message waits for its turn, a HIGH one comes.
        seconds.now += 3
        rates.give_back("mail", 1)
        if asked:
            order.append(("HIGH", asked.pop()()))

    rates.take("mail", NORMAL, 100, 0.0)
    monkeypatch.setattr(rates._condition, "wait", wait)
    order.append(("NORMAL", rates.take("mail", NORMAL, 1, 1.0)))
    assert order == [("HIGH", 1), ("NORMAL", 1)]


def test_a_domain_has_a_rate_of_its_own(seconds: Seconds) -> None:
    rates = Rates()
    for _ in range(50):
        rates.accepted("mail")
    seconds.now += 1
    rates.refused("mail", ("mail", ":domain:lab"), seconds())
    assert rates.take("mail", NORMAL, 8, 0.0) == 8
    assert rates.wait(("mail", ":domain:us")) is None
    waits = [rates.wait(("mail", ":domain:lab")) for _ in range(100)]
    assert any(waits)


def test_a_single_refusal_where_nothing_is_known_sets_no_rate(seconds: Seconds) -> None:
    rates, begun = Rates(), seconds()
    assert rates.refused("mail", "mail", begun) == 1.0
    assert rates.refused("mail", "mail", begun) is None, "the same fault"
    assert rates.take("mail", NORMAL, 100, 0.0) == 100
    seconds.now += 2
    rates.refused("mail", "mail", seconds())
    assert rates.knows("mail"), "the second tells"


def test_a_rate_that_is_forgotten_while_somebody_looks_is_none(
    seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = Rates()
    monkeypatch.setattr(rates, "take", lambda *_: 0)
    assert rates.wait("mail") is None


def test_rates_that_nobody_refused_for_long_are_forgotten_when_there_are_many(seconds: Seconds) -> None:
    rates = Rates()

    def refuse(number: int) -> None:
        rates.accepted("mail")
        rates.refused("mail", ("mail", str(number)), seconds())

    for number in range(1100):
        refuse(number)
    seconds.now += 700
    refuse(1100)
    assert [rates.knows(("mail", str(number))) for number in (0, 1099, 1100)] == [False, False, True]
