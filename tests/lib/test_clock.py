"""Time comes from one source, which tests can move."""

from datetime import UTC, date, datetime, timedelta, timezone

from backend.lib import clock
from tests.conftest import MovableClock


def test_the_system_clock_is_aware_and_in_utc() -> None:
    assert abs(datetime.now(UTC) - clock.now()) < timedelta(seconds=5)
    assert clock.now().tzinfo is UTC


def test_moving_the_clock_moves_now_today_and_the_timestamp(moving_clock: MovableClock) -> None:
    before = clock.timestamp()
    moving_clock.forward(hours=15, seconds=1)
    assert clock.now() == datetime(2026, 3, 3, 0, 0, 1, tzinfo=UTC)
    assert clock.today() == date(2026, 3, 3)
    assert clock.timestamp() == before + 15 * 3600 + 1


def test_a_moment_is_written_in_utc_with_microseconds_always() -> None:
    there = datetime(2026, 11, 21, 22, 36, tzinfo=timezone(timedelta(hours=2)))
    assert clock.iso(there) == "2026-11-21T20:36:00.000000Z"
