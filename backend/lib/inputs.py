"""What people and programs write, read as one kind of value each: what is none of its kind is None.

Each kind is narrower than what either database can keep, so that nothing that was read here can fail there:
PostgreSQL's ``bigint`` has 64 bits, its text holds no U+0000, and no calendar of Python's goes on after the year 9999.
"""

from datetime import UTC, date, datetime
from uuid import UUID

# Of a row's number, a count, a place in a list.
LARGEST = 2**63 - 1
_MOST_DIGITS = 19
FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9998, 12, 31)


def number(raw: str, most: int = LARGEST) -> int | None:
    """Read a whole number from 0 to ``most``, in ASCII digits alone: ``+1``, ``1_000`` and ``²`` are none."""
    if not (raw.isascii() and raw.isdigit() and len(raw) <= _MOST_DIGITS):
        return None
    found = int(raw)
    return found if found <= most else None


def is_row(value: int) -> bool:
    """Tell whether a row of a table can have this number."""
    return 0 < value <= LARGEST


def bounded(value: int | None) -> int | None:
    """Bring a number into what either database can keep: before the first, or behind the last, there is nothing."""
    return None if value is None else min(max(value, 0), LARGEST)


def row(raw: str) -> int | None:
    """Read the number of a row."""
    return number(raw) or None


def uid(raw: str) -> UUID | None:
    """Read the public id of a row."""
    try:
        return UUID(raw)
    except ValueError:
        return None


def day(raw: str) -> date | None:
    """Read a day, ``2026-03-02``, that has a next one."""
    try:
        found = date.fromisoformat(raw)
    except ValueError:
        return None
    return found if FIRST_DAY <= found <= LAST_DAY else None


def moment(raw: str) -> datetime | None:
    """Read a moment, ``2026-03-02T09:30``, and return it in UTC; one without an offset is in UTC."""
    try:
        found = datetime.fromisoformat(raw)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if FIRST_DAY <= found.date() <= LAST_DAY else None


def word(raw: str, most: int) -> str | None:
    """Read a name or another line of text: at most so many characters, all of them printable."""
    return raw if len(raw) <= most and raw.isprintable() else None


def text_fault(text: str) -> str | None:
    """Say in a sentence why a text of any kind cannot be kept; None for one that can."""
    if "\x00" in text:
        return "The character U+0000 is not allowed in text."
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        return "The text holds half of a surrogate pair, which is no character."
    return None
