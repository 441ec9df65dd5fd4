"""The throttle of housekeeping, by the application's clock."""

from datetime import timedelta

from backend.lib.throttle import Throttle
from tests.conftest import MovableClock


def test_one_is_let_through_in_each_span(moving_clock: MovableClock) -> None:
    throttle = Throttle(timedelta(minutes=10))
    taken = []
    for minutes in (0, 9, 1, 1):
        moving_clock.forward(minutes=minutes)
        taken.append(throttle.take())
    assert taken == [True, False, True, False]


def test_again_lets_the_next_one_through_at_once(moving_clock: MovableClock) -> None:
    throttle = Throttle()
    assert throttle.take()
    throttle.again()
    assert throttle.take()
    assert not throttle.take()


def test_a_clock_that_was_set_back_holds_nobody_up(moving_clock: MovableClock) -> None:
    throttle = Throttle()
    assert throttle.take()
    moving_clock.forward(days=-1)
    assert throttle.take()
