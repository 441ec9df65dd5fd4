"""What a notification says of a file that goes as a link: for how long, and for whom."""

import re

from backend.intake.schema import LinkIn
from backend.lib import settings

# As GOV.UK Notify keeps files that nobody has given another time: 26 weeks.
DEFAULT = "26 weeks"
_FORM = re.compile(r"([1-9][0-9]{0,3}) ?(h|hours?|d|days?|w|weeks?)")
_SECONDS = {"h": 3_600, "d": 86_400, "w": 604_800}


def seconds(link: LinkIn) -> int:
    """Return for how many seconds a link is to last.

    Raises:
        ValueError: with a sentence, where that cannot be.
    """
    given = link.expires_after
    if given is None:
        return _read(DEFAULT) or 0
    wanted, days = _read(given), settings.current().link_days
    if wanted is None:
        raise ValueError("Must be a whole number of hours, days or weeks, such as 12h, 7d or 26 weeks.")
    if wanted > days * _SECONDS["d"]:
        raise ValueError(f"Links last {days} days at most here.")
    return wanted


def _read(text: str) -> int | None:
    found = _FORM.fullmatch(text)
    return int(found[1]) * _SECONDS[found[2][0]] if found else None
