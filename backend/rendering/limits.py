"""How much one message may take, and the meter that every template runs under."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice

from backend.rendering.faults import LimitExceeded

SOURCE_BYTES = 256 * 1024
JINJA_TOKENS = 5_000
OUTPUT_CHARACTERS = 10_000_000
STRING_CHARACTERS = 1_000_000
LIST_ITEMS = 1_000_000
LITERAL_CHARACTERS = 32_000_000
SLOW_FILTER_CHARACTERS = 64_000
ITERATIONS = 1_000_000
DEPTH = 32
INTEGER_BITS = 4_096
SECONDS = 5.0
# Gmail clips what is longer, and hides the end of the message behind a link.
CLIPPED_BYTES = 102 * 1024
_PIECES_AT_ONCE = 16


class Meter:
    """Counts what a running template uses; each step may raise LimitExceeded."""

    __slots__ = ("_deadline", "_iterations", "_spent")

    def __init__(self, seconds: float) -> None:
        self._deadline = time.thread_time() + seconds
        self._iterations = 0
        self._spent = 0

    def tick(self) -> None:
        """Check the deadline, in seconds of work: a busy machine fails no honest template."""
        if time.thread_time() > self._deadline:
            raise LimitExceeded("the template takes too long")

    def iterate(self, values: Iterable[object]) -> Iterator[object]:
        """Yield the values, counting each as one turn of a loop."""
        for value in values:
            self._iterations += 1
            if self._iterations > ITERATIONS:
                raise LimitExceeded(f"the loops of the template turn more than {ITERATIONS:,} times")
            if self._iterations & 0x0F == 0:
                self.tick()
            yield value

    def written(self, pieces: Iterator[str]) -> list[str]:
        """Gather the pieces of a message as they are written, bounding its length and the time between them."""
        gathered: list[str] = []
        characters = 0
        while some := list(islice(pieces, _PIECES_AT_ONCE)):
            gathered += some
            characters += sum(map(len, some))
            if characters > OUTPUT_CHARACTERS:
                raise LimitExceeded(f"the message is longer than {OUTPUT_CHARACTERS:,} characters")
            self.tick()
        return gathered

    def spend(self, characters: int) -> None:
        """Take characters of the memory that strings built by the template may fill."""
        if characters > STRING_CHARACTERS:
            raise LimitExceeded(f"a text of more than {STRING_CHARACTERS:,} characters")
        self._spent += characters
        if self._spent > LITERAL_CHARACTERS:
            raise LimitExceeded("the template needs too much memory")


_seconds: ContextVar[float] = ContextVar("seconds", default=SECONDS)
_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


def meter() -> Meter:
    """Return the meter of the render that is under way.

    Outside one this raises, which also keeps Jinja from evaluating constant expressions while it compiles.
    """
    current = _meter.get()
    if current is None:
        raise LimitExceeded("no template is being rendered")
    return current


@contextmanager
def allowed(seconds: float) -> Iterator[None]:
    """Let each template that is run inside take so many seconds of work, instead of ``SECONDS``."""
    token = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(token)


@contextmanager
def metered() -> Iterator[Meter]:
    """Run what is inside under a new meter."""
    current = Meter(_seconds.get())
    token = _meter.set(current)
    try:
        yield current
    finally:
        _meter.reset(token)


def measure(value: object) -> None:
    """Walk a container with multiplicity, so that no value built by nesting grows exponentially when used."""
    nodes = characters = 0
    pending = [value]
    while pending:
        item = pending.pop()
        nodes += 1
        if isinstance(item, str):
            characters += len(item)
        elif isinstance(item, dict):
            pending.extend(item.values())
            characters += sum(len(key) for key in item if isinstance(key, str))
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
        if nodes + len(pending) > LIST_ITEMS or characters > LITERAL_CHARACTERS:
            raise LimitExceeded("a list or mapping of the template grows too large")
