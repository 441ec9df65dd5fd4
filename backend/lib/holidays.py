"""Days on which nobody is at work: public holidays by their ISO 3166 code (``GB-ENG``), and days that a team names."""

import re
from datetime import date
from functools import lru_cache
from importlib import import_module

PATTERN = r"^([A-Z]{2}(-[A-Z0-9]{1,3})?|[0-9]{4}-[0-9]{2}-[0-9]{2})$"


def check(code: str) -> str:
    """Return a country, a part of one, or a day, as it was given.

    Raises:
        ValueError: with a sentence, when there is no such.
    """
    if not re.fullmatch(PATTERN.strip("^$"), code):
        raise ValueError("Must be a country such as GB, a part of one such as GB-ENG, or a day such as 2026-12-24.")
    if code[0].isdigit():
        try:
            date.fromisoformat(code)
        except ValueError:
            raise ValueError(f"There is no day {code}.") from None
        return code
    try:
        _of_year(code, 2000)
    except NotImplementedError:
        raise ValueError(f"The public holidays of {code} are not known here; name the days themselves.") from None
    return code


def is_one(day: date, codes: frozenset[str]) -> bool:
    """Tell whether a day is one of these, or a public holiday of one of these countries."""
    return any(day.isoformat() == code if code[0].isdigit() else day in _of_year(code, day.year) for code in codes)


@lru_cache(maxsize=256)
def _of_year(code: str, year: int) -> frozenset[date]:
    country, _, part = code.partition("-")
    # The calendars of the world take a tenth of a start, and few installations ask for any.
    return frozenset(import_module("holidays").country_holidays(country, subdiv=part or None, years=year))
