"""Whether a database is a restored or copied one, from what it says of itself and what is known of it outside."""

from collections.abc import Sequence

import msgspec

from backend.restored import marks
from backend.restored.memory import Memory

OLDER = "It is older than what this machine remembers of it: it was restored from a backup, or lost what was newest."
ANOTHER = "It is not the one that this machine remembers at this address: it was restored from a backup or replaced."
MOVED = "It is not where it was made: it was restored from a backup, copied or moved."
PUT_BACK = "The data directory was put back from a copy, and the database with it."


class Itself(msgspec.Struct, frozen=True, kw_only=True):
    """What a database says of itself; ``epoch`` is empty in one that nobody has looked at yet."""

    epoch: str
    earlier: Sequence[str]
    counter: int
    marks: dict[str, str]


def why_restored(itself: Itself, here: dict[str, str], recalled: Sequence[Memory]) -> str | None:
    """Say why it must be a restored or copied database; ``None`` for one that goes on where it was.

    ``here`` are the marks of where it is, ``recalled`` what is known of it outside: beside the key, in this process,
    with the queue.
    """
    for memory in recalled:
        found = _unlike(itself, memory)
        if found is not None:
            return found
    if itself.epoch and marks.differ(itself.marks, here) and not _up_to_date(itself, here, recalled):
        return MOVED
    if "file" in here and any(not memory.original for memory in recalled):
        return PUT_BACK
    return None


def _unlike(itself: Itself, memory: Memory) -> str | None:
    if memory.epoch == itself.epoch:
        return OLDER if memory.counter > itself.counter else None
    # An earlier life of this very database: it was recognised since then, by another machine.
    return None if memory.epoch in itself.earlier else ANOTHER


def _up_to_date(itself: Itself, here: dict[str, str], recalled: Sequence[Memory]) -> bool:
    """Tell whether a moved file is just as this machine, whose file it is, has left it, to the last count.

    So may one be that was written anew by VACUUM INTO, or brought to another disk beside the machine's own data.
    """
    last = any(one.original and (one.epoch, one.counter) == (itself.epoch, itself.counter) for one in recalled)
    return "file" in here and last
