"""Each kind of value is read in one form, within what both databases can keep."""

from datetime import UTC, date, datetime

import pytest

from backend.lib import inputs


@pytest.mark.parametrize(
    "raw", ["", "-1", "+1", "1.0", "1_000", "\u00b2", "\uff11", " 1", "1\x00", "9" * 5000, str(2**63)]
)
def test_what_is_no_whole_number(raw: str) -> None:
    assert inputs.number(raw) is None
    assert inputs.row(raw) is None


def test_whole_numbers() -> None:
    assert [inputs.number(raw) for raw in ("0", "007", str(2**63 - 1))] == [0, 7, 2**63 - 1]
    assert inputs.number("10", most=9) is None
    assert (inputs.row("0"), inputs.row("1")) == (None, 1)
    assert [inputs.is_row(value) for value in (-1, 0, 1, 2**63 - 1, 2**63)] == [False, False, True, True, False]


@pytest.mark.parametrize("raw", ["", "2026-02-30", "0001-01-01", "9999-12-31", "10000-01-01", "1969-12-31", "today"])
def test_what_is_no_day(raw: str) -> None:
    assert inputs.day(raw) is None


@pytest.mark.parametrize(
    "raw", ["", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-02T25:00", "2026-03-02T09:30+24:00"]
)
def test_what_is_no_moment(raw: str) -> None:
    assert inputs.moment(raw) is None


def test_days_and_moments() -> None:
    assert inputs.day("2026-03-02") == date(2026, 3, 2)
    assert inputs.moment("2026-03-02T09:30") == datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    assert inputs.moment("2026-03-02T09:30+14:00") == datetime(2026, 3, 1, 19, 30, tzinfo=UTC)


def test_words_and_texts() -> None:
    assert [inputs.word(raw, 3) for raw in ("abc", "abcd", "a\n", "a\x00", "\ud800")] == ["abc", None, None, None, None]
    faulty = [inputs.text_fault(text) is not None for text in ("a\n\x01é🧪", "a\x00", "\udfff")]
    assert faulty == [False, True, True]
    assert inputs.uid("0") is None
