"""How long is waited before the next try."""

from datetime import UTC, datetime, timedelta

import pytest

from backend.lib import backoff
from tests.conftest import MovableClock

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("1.5", 1.5),
        ("1614265390", 60),
        ("999999999999999999999999", 86400),
        ("Thu, 25 Feb 2021 15:03:10 GMT", 60),
        ("Thu, 25 Feb 2021 15:03:10 -0000", 60),
        ("Thu, 25 Feb 2021 16:03:10 +0100", 60),
        ("Thu, 25 Feb 2021 14:00:00 GMT", 0),
        ("Thu, 25 Feb 9999 14:00:00 GMT", 86400),
        ("Thu, 25 Feb 0001 14:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("١٢", None),
        ("", None),
        (None, None),
        ("Thu, 99 Feb 2021 15:03:10 GMT", None),
    ],
)
def test_retry_after_is_read_and_kept_in_bounds(
    moving_clock: MovableClock, given: str | None, seconds: float | None
) -> None:
    moving_clock.moment = datetime(2021, 2, 25, 15, 2, 10, tzinfo=UTC)
    assert backoff.retry_after(given, DAY) == (None if seconds is None else timedelta(seconds=seconds))


def test_pauses_double_up_to_the_longest_whatever_the_count() -> None:
    assert [backoff.doubled(2.0, failures, 30.0) for failures in range(6)] == [2, 4, 8, 16, 30, 30]
    assert backoff.doubled(1.0, 10**9, 300.0) == 300


def test_chance_adds_up_to_its_share() -> None:
    pauses = {backoff.scattered(100.0, 0.25) for _ in range(200)}
    assert 100 <= min(pauses) < max(pauses) <= 125
    assert len(pauses) > 100
