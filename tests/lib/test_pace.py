"""The pace of housekeeping, by the clock of the house."""

from datetime import timedelta

from backend.lib.pace import Pace
from tests.conftest import MovableClock


def test_one_is_let_through_in_each_span(moving_clock: MovableClock) -> None:
    pace = Pace(timedelta(minutes=10))
    taken = []
    for minutes in (0, 9, 1, 1):
        moving_clock.forward(minutes=minutes)
        taken.append(pace.take())
    assert taken == [True, False, True, False]


def test_again_lets_the_next_one_through_at_once(moving_clock: MovableClock) -> None:
    pace = Pace()
    assert pace.take()
    pace.again()
    assert pace.take()
    assert not pace.take()


def test_a_clock_that_was_set_back_holds_nobody_up(moving_clock: MovableClock) -> None:
    pace = Pace()
    assert pace.take()
    moving_clock.forward(days=-1)
    assert pace.take()
