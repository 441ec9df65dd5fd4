"""Fixed times of a week, through every zone and every change of its clocks."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.lib import timetable
from backend.lib.timetable import Timetable

ZONES = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith(("posix", "right")))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - by the zone
TEXTS = st.builds(
    lambda days, times, zone: f"{days} {','.join(f'{one:%H:%M}' for one in times)} {zone}",
    st.sampled_from(["daily", "weekdays", "weekends", "mon", "tue,sat", "sun,mon,wed"]),
    st.lists(st.times().map(lambda one: one.replace(second=0, microsecond=0)), min_size=1, max_size=4),
    st.sampled_from(ZONES),
)


def stands_on(table: Timetable, moment: datetime) -> bool:
    """Tell whether the clocks of the zone show one of the times on one of the days."""
    there = moment.astimezone(table.zone)
    return there.weekday() in table.days and there.time().replace(tzinfo=None) in table.times


def leapt(table: Timetable, moment: datetime) -> bool:
    """Tell whether clocks leapt forward within a day before a moment, over a time that comes later for that."""
    there = moment.astimezone(table.zone)
    before = (moment - timedelta(days=1)).astimezone(table.zone)
    return (there.utcoffset() or timedelta()) > (before.utcoffset() or timedelta())


@given(TEXTS, MOMENTS)
def test_the_next_time_is_the_first_that_the_clocks_show(text: str, moment: datetime) -> None:
    table = timetable.read(text)
    found = table.next_after(moment)
    assert moment < found <= moment + timetable.LONGEST
    assert stands_on(table, found) or leapt(table, found)
    assert table.next_after(found - timedelta(microseconds=1)) == found
    assert table.next_after(moment + (found - moment) / 2) == found


@given(st.sampled_from(ZONES), MOMENTS)
def test_each_day_of_weeks_has_its_time_once(zone: str, moment: datetime) -> None:
    table = timetable.read(f"daily 12:00 {zone}")
    days, at = [], moment
    for _ in range(60):
        at = table.next_after(at)
        days.append(at.astimezone(table.zone).date())
    assert len(set(days)) == 60
    # Samoa and its neighbours have left a day out.
    assert (days[-1] - days[0]).days in {59, 60}


def test_what_clocks_leap_over_comes_later_and_what_they_pass_twice_comes_first() -> None:
    table = timetable.read("daily 01:30 Europe/London")
    assert table.next_after(datetime(2026, 3, 28, 12, tzinfo=UTC)) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    first = table.next_after(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert first == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert table.next_after(first) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_the_one_time_of_a_week_comes_again_a_week_later_by_the_clocks() -> None:
    table = timetable.read("mon 08:00 Europe/London")
    monday = datetime(2026, 3, 23, 8, tzinfo=UTC)
    assert table.next_after(monday - timedelta(microseconds=1)) == monday
    assert table.next_after(monday) == datetime(2026, 3, 30, 7, tzinfo=UTC)


def test_days_times_and_zone_are_read() -> None:
    table = timetable.read("mon,thu 16:00,07:30 Asia/Tokyo")
    assert (table.days, table.times, str(table.zone)) == ({0, 3}, (time(7, 30), time(16)), "Asia/Tokyo")
    assert timetable.read("weekdays,sun 08:00 UTC").days == {0, 1, 2, 3, 4, 6}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Must be days, times and a zone"),
        ("weekdays 8:00 UTC", "Must be days, times and a zone"),
        ("weekdays 08:00", "Must be days, times and a zone"),
        ("weekdays 24:00 UTC", "from 00:00 to 23:59"),
        ("someday 08:00 UTC", "no day 'someday'"),
        ("daily 08:00 Europe/Atlantis", "no time zone 'Europe/Atlantis'"),
        ("daily 08:00 Europe", "no time zone 'Europe'"),
        ("daily 08:00 /etc/passwd", "no time zone"),
        (f"daily {','.join(f'{hour:02}:00,{hour:02}:30' for hour in range(24))} UTC", "Must be days"),
    ],
)
def test_what_is_no_timetable_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        timetable.read(text)
