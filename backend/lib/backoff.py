"""How long to wait before something that failed is tried again: ever longer, a little by chance, and as it is asked."""

import random
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

from backend.lib import clock

# So often a pause is doubled at most, so that no count of failures makes a number that cannot be.
_MOST_DOUBLINGS = 20
# A number of seconds above this is a moment (of Unix), not a span.
_EPOCH = 1e9
# No header asks for longer than this; the number is one that can be reckoned with.
_LONGEST = timedelta(days=36_500).total_seconds()


def doubled(first: float, failures: int, longest: float = _LONGEST) -> float:
    """Return the pause after so many failures before this one: ``first``, twice that, and so on up to ``longest``."""
    return min(first * 2.0 ** min(failures, _MOST_DOUBLINGS), longest)


def scattered(pause: float, share: float) -> float:
    """Return a pause that is longer by chance, by up to a ``share`` of it: what failed together comes back apart."""
    return pause * (1 + random.random() * share)  # noqa: S311 - no secret depends on it


def retry_after(value: str | None, longest: timedelta) -> timedelta | None:
    """Read a ``Retry-After``: seconds or a date (RFC 9110, section 10.2.3), from nought to ``longest``.

    Servers also write fractions, and a moment in seconds since 1970. ``None`` if it is absent or unreadable.
    """
    text = (value or "").strip()
    now = clock.now()
    if text.isascii() and text.replace(".", "", 1).isdigit():
        number = float(text[:20])
        seconds = number - now.timestamp() if number > _EPOCH else number
    else:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, OverflowError):
            return None
        # A date without a zone is of GMT, as all of HTTP's are.
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
    return min(max(timedelta(seconds=min(seconds, _LONGEST)), timedelta()), longest)
