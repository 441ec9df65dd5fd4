"""A figure is found anew when it is old, and no more often than its cost allows."""

import time
from collections.abc import Iterator

import pytest

from backend.lib import ttl_cache
from backend.lib.ttl_cache import TtlCache
from tests.conftest import MovableClock

_SHARE = ttl_cache._SHARE  # as it is in operation


@pytest.fixture
def numbers() -> Iterator[int]:
    return iter(range(100))


def test_a_figure_is_kept_for_its_time(moving_clock: MovableClock, numbers: Iterator[int]) -> None:
    figure = TtlCache(lambda: next(numbers), seconds=60)
    assert [figure.get(), figure.get()] == [0, 0]
    moving_clock.forward(seconds=59)
    assert figure.get() == 0
    moving_clock.forward(seconds=2)
    assert figure.get() == 1


def test_a_clock_that_is_set_back_and_forgetting_end_it(moving_clock: MovableClock, numbers: Iterator[int]) -> None:
    figure = TtlCache(lambda: next(numbers), seconds=60)
    figure.get()
    moving_clock.forward(hours=-1)
    assert figure.get() == 1
    figure.clear()
    assert figure.get() == 2


def test_what_takes_long_is_kept_twenty_times_as_long(
    moving_clock: MovableClock, numbers: Iterator[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ttl_cache, "_SHARE", _SHARE)
    moments = iter([100.0, 110.0, 300.0, 300.5])
    monkeypatch.setattr(time, "perf_counter", lambda: next(moments))
    figure = TtlCache(lambda: next(numbers), seconds=60)
    figure.get()
    moving_clock.forward(seconds=199)
    assert figure.get() == 0
    moving_clock.forward(seconds=2)
    assert figure.get() == 1


def test_a_fault_is_raised_and_not_kept(moving_clock: MovableClock) -> None:
    answers = iter([0, 5])
    figure = TtlCache(lambda: 1 // next(answers), seconds=60)
    with pytest.raises(ZeroDivisionError):
        figure.get()
    assert figure.get() == 0
