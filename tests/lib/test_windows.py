"""Windows over time zones whose clocks are changed: what the clock on the wall shows decides, and nothing else."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.lib import holidays, windows
from backend.lib.windows import DAYS, Hours, Window

# Changed by an hour, by half of one, by two; at midnight; not at all; and one that left a whole day out.
ZONES = (
    "Europe/London", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Cairo", "America/Santiago",
    "Asia/Kathmandu", "Pacific/Chatham", "Pacific/Apia", "UTC",
)  # fmt: skip
MINUTE = timedelta(minutes=1)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


hours = st.builds(
    lambda days, start, until: Hours(tuple(sorted(days, key=DAYS.index)), _clock(start), _clock(until)),
    st.sets(st.sampled_from(DAYS), min_size=1),
    st.integers(0, 24 * 60 - 1),
    st.integers(1, 24 * 60),
)
shapes = st.builds(
    lambda some, zone, days: Window(tuple(some), zone, tuple(days)),
    st.lists(hours, min_size=1, max_size=3),
    st.sampled_from(ZONES),
    st.lists(st.sampled_from(["GB", "DE-BY", "2026-03-29", "2011-12-29"]), max_size=2, unique=True),
)


def _changes() -> list[datetime]:
    """List moments of the years around at which the clocks of some zone are changed, and two in 2011."""
    found = [datetime(2011, 12, 30, 10, tzinfo=UTC)]
    for name in ZONES:
        zone, moment = ZoneInfo(name), datetime(2025, 12, 1, tzinfo=UTC)
        while moment < datetime(2027, 1, 1, tzinfo=UTC):
            after = moment + timedelta(hours=1)
            if moment.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset():
                found.append(moment)
            moment = after
    return found


near_a_change = st.builds(
    lambda change, minutes: change + minutes * MINUTE, st.sampled_from(_changes()), st.integers(-4000, 1500)
)
any_moment = st.integers(0, 366 * 24 * 60).map(lambda minute: datetime(2026, 1, 1, tzinfo=UTC) + minute * MINUTE)


def _shows(window: Window, moment: datetime) -> bool:
    """Look at the wall: does its clock show a time of the window?"""
    local = moment.astimezone(ZoneInfo(window.zone))
    for one in window.hours:
        start, until = windows.minutes(one.start), windows.minutes(one.until)
        for back in (0, 1):
            day = local.date() - timedelta(days=back)
            if DAYS[day.weekday()] not in one.days or holidays.is_one(day, frozenset(window.holidays)):
                continue
            shown = local.hour * 60 + local.minute + back * 24 * 60
            if start <= shown < (until if until > start else until + 24 * 60):
                return True
    return False


@given(window=shapes, moment=st.one_of(near_a_change, any_moment))
def test_a_window_is_open_when_the_clock_on_the_wall_shows_it(window: Window, moment: datetime) -> None:
    assert window.is_open(moment) == _shows(window, moment)


@given(window=shapes, moment=st.one_of(near_a_change, any_moment))
def test_the_next_moment_is_the_first_that_is_open(window: Window, moment: datetime) -> None:
    found = window.next_open(moment)

    if found is None:
        assert not any(_shows(window, moment + number * timedelta(hours=1)) for number in range(24 * 14))
        return
    assert found >= moment
    assert _shows(window, found)
    shut = min((found - moment) // MINUTE, 3 * 24 * 60)
    assert not any(_shows(window, found - number * MINUTE) for number in range(1, shut + 1))
    assert found == moment or not _shows(window, moment)


@given(some=st.lists(shapes, min_size=2, max_size=3), moment=st.one_of(near_a_change, any_moment))
def test_the_next_moment_of_several_windows_is_in_all_of_them(some: list[Window], moment: datetime) -> None:
    found = windows.next_in_all(some, moment)

    step = timedelta(minutes=17)
    if found is None:
        assert not any(all(_shows(one, moment + n * step) for one in some) for n in range(2000))
        return
    assert all(_shows(one, found) for one in some)
    before = min((found - moment) // step, 1000)
    assert not any(all(_shows(one, moment + n * step) for one in some) for n in range(before))


@pytest.mark.parametrize(
    ("zone", "asked", "opens"),
    [
        # Clocks leap from 01:00 to 02:00: the window begins where they land.
        ("Europe/London", "2026-03-29T00:10:00Z", "2026-03-29T01:00:00Z"),
        # 01:30 is shown twice, and both times the window is open.
        ("Europe/London", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"),
        ("Europe/London", "2026-10-25T00:10:00Z", "2026-10-25T00:30:00Z"),
        ("America/New_York", "2026-03-08T07:05:00Z", "2026-03-08T07:05:00Z"),
    ],
)
def test_hours_that_the_clocks_change_are_those_that_they_show(zone: str, asked: str, opens: str) -> None:
    window = Window((Hours(DAYS, "01:30", "03:30"),), zone)

    assert window.next_open(datetime.fromisoformat(asked)) == datetime.fromisoformat(opens)


def test_a_night_belongs_to_the_day_on_which_it_begins() -> None:
    window = Window((Hours(("fri",), "22:00", "06:00"),), "Europe/London", ("2026-06-12",))

    assert window.is_open(datetime(2026, 6, 6, 4, tzinfo=UTC))  # Saturday 05:00 in London
    assert not window.is_open(datetime(2026, 6, 6, 21, 30, tzinfo=UTC))
    assert not window.is_open(datetime(2026, 6, 13, 4, tzinfo=UTC))  # the Friday before was a holiday


def test_holidays_move_as_the_feasts_do() -> None:
    england = frozenset({"GB-ENG", "2026-12-24"})

    assert holidays.is_one(date(2026, 4, 3), england)  # Good Friday
    assert holidays.is_one(date(2027, 12, 27), england)  # in place of a Christmas Day on a Saturday
    assert holidays.is_one(date(2026, 12, 24), england)
    assert not holidays.is_one(date(2027, 12, 24), england)


def test_windows_that_never_open_together_have_no_next_moment() -> None:
    morning = Window((Hours(DAYS, "08:00", "09:00"),), "Europe/London")
    tokyo = Window((Hours(DAYS, "08:00", "09:00"),), "Asia/Tokyo")

    assert windows.next_in_all([morning, tokyo], datetime(2026, 1, 1, tzinfo=UTC)) is None
