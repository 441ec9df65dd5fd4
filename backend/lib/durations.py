"""Lengths of time as people write them: a whole number with a unit, such as ``30m``, ``24h`` or ``7d``."""

import re
from datetime import timedelta

PATTERN = r"^[1-9][0-9]{0,4}[smhd]$"
DELAY_PATTERN = r"^(0|[1-9][0-9]{0,4})[smhd]$"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read(text: str) -> timedelta:
    """Return how long a text says.

    Raises:
        ValueError: when it is not written so.
    """
    if not re.fullmatch(PATTERN.strip("^$"), text):
        raise ValueError("Must be a whole number with a unit: 30m for minutes, 24h for hours, 7d for days.")
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def delay(text: str) -> timedelta:
    """Return how long a text that follows ``DELAY_PATTERN`` says: as ``read``, and ``0s`` for at once."""
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def write(span: timedelta) -> str:
    """Write a length of time in the largest unit that holds it in whole: ``90m``, ``2h``."""
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
