"""Lengths of time are read as people write them, and nothing else is."""

from datetime import timedelta

import pytest

from backend.lib import durations


def test_each_unit_is_read() -> None:
    read = [durations.read(text) for text in ("90s", "30m", "24h", "7d")]
    assert read == [timedelta(seconds=90), timedelta(minutes=30), timedelta(days=1), timedelta(days=7)]


@pytest.mark.parametrize("text", ["", "0h", "24", "h", "1.5h", "-1h", "24 h", "24H", "1w", "100000s", "24h\n", "٣h"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Must be a whole number with a unit"):
        durations.read(text)
