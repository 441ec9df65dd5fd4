"""Lengths of time as people write them: a whole number with a unit, such as ``30m``, ``24h`` or ``7d``."""

import re
from datetime import timedelta

PATTERN = r"^[1-9][0-9]{0,4}[smhd]$"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def read(text: str) -> timedelta:
    """Return how long a text says.

    Raises:
        ValueError: when it is not written so.
    """
    if not re.fullmatch(PATTERN.strip("^$"), text):
        raise ValueError("Must be a whole number with a unit: 30m for minutes, 24h for hours, 7d for days.")
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
