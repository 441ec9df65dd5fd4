"""What a look at the index finds."""

from collections.abc import Sequence

import msgspec

# So many are found by one look, at the most.
MOST = 2_000
EVERYTHING = 2**62


class Found(msgspec.Struct, frozen=True):
    """Rows of notifications, newest first; ``reached`` is the row up to which they are all, if there may be more."""

    rows: list[int]
    reached: int | None = None


def cut(rows: Sequence[int]) -> Found:
    """Keep as many as one look may find."""
    return Found(list(rows)) if len(rows) <= MOST else Found(list(rows[:MOST]), rows[MOST - 1])
