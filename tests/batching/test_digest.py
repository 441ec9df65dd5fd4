"""Batches that go out at fixed times, through the change of the clocks, beside their other ends."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from backend.batching.keys import Limits
from backend.db.models.batches import Why
from tests.batching.conftest import LIST, Harness

LONDON = ZoneInfo("Europe/London")


def digest(harness: Harness, **batch: object) -> None:
    """Let batches go out at eight o'clock in London on weekdays."""
    harness.lab.template("X_LIST", LIST, format="text", batch={"digest": "weekdays 08:00 Europe/London"} | batch)


@pytest.mark.usefixtures("no_timers")
def test_weeks_of_mornings_with_a_change_of_the_clocks(harness: Harness) -> None:
    digest(harness)
    harness.clock.set(days=18)  # Friday, 20 March 2026; clocks are put forward on the 29th
    sent: list[datetime] = []
    for hour in range(24 * 14):
        one = harness.one(f"S-{hour}") if hour % 5 == 0 else None
        if one is not None:
            membership = harness.membership(one)
            assert membership.why == "digest"
            assert membership.closes_at.astimezone(LONDON).strftime("%H:%M") == "08:00"
            sent.append(membership.closes_at)
        harness.clock.forward(hours=1)
        harness.work()
    mornings = sorted(set(sent))
    assert [one.astimezone(LONDON).weekday() < 5 for one in mornings] == [True] * len(mornings)
    assert {one.hour for one in mornings} == {8, 7}
    assert len(mornings) == 11
    assert {batch.why for batch in harness.waiting()} <= {"digest"}


@pytest.mark.usefixtures("no_timers")
def test_what_else_ends_a_batch_ends_it_before(harness: Harness) -> None:
    digest(harness, max_items=2, quiet_seconds=600)
    first, second = harness.one("S-1"), harness.one("S-2")
    assert {harness.membership(one).why for one in (first, second)} == {"size"}
    third = harness.one("S-3")
    assert (harness.membership(third).why, harness.membership(third).closes_at) == (
        "quiet",
        datetime(2026, 3, 2, 9, 10, tzinfo=UTC),
    )


def test_of_ends_at_the_same_moment_the_fixed_time_is_named_then_the_quiet_one() -> None:
    opened = datetime(2026, 3, 2, 7, tzinfo=UTC)
    hour = 3600.0
    assert Limits(hour, hour, 10).closing(opened, opened) == (datetime(2026, 3, 2, 8, tzinfo=UTC), Why.QUIET)
    digested = Limits(hour, hour, 10, "weekdays 08:00 Europe/London")
    assert digested.closing(opened, opened) == (datetime(2026, 3, 2, 8, tzinfo=UTC), Why.DIGEST)
    # The fixed time is the first after the batch was opened, also for a template that named it later.
    late = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
    assert digested.closing(opened, late) == (datetime(2026, 3, 2, 8, tzinfo=UTC), Why.DIGEST)
