"""How much one message may take, and the meter that every template runs under.

In a child process a timer stops a template whose time is up wherever it is, and the kernel bounds everything else.
Elsewhere only templates run that no fields can make costly, and the loops of those look at the time.
"""

import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice

from backend.rendering.faults import LimitExceeded

SOURCE_BYTES = 256 * 1024
JINJA_TOKENS = 5_000
OUTPUT_CHARACTERS = 10_000_000
ITERATIONS = 1_000_000
DEPTH = 32
INTEGER_BITS = 4_096
SECONDS = 5.0
# Gmail clips what is longer, and hides the end of the message behind a link.
CLIPPED_BYTES = 102 * 1024
_PIECES_AT_ONCE = 16
TOO_LONG = "the template takes too long"
# Should something swallow the first interruption, there is another after so many seconds of work.
_AGAIN_SECONDS = 0.5


class Meter:
    """Counts what a running template uses; each step may raise LimitExceeded."""

    __slots__ = ("_deadline", "_iterations")

    def __init__(self, seconds: float) -> None:
        self._deadline = time.thread_time() + seconds
        self._iterations = 0

    def tick(self) -> None:
        """Check the deadline, in seconds of work: a busy machine fails no honest template."""
        if time.thread_time() > self._deadline:
            raise LimitExceeded(TOO_LONG)

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


_seconds: ContextVar[float] = ContextVar("seconds", default=SECONDS)
_interrupting: ContextVar[bool] = ContextVar("interrupting", default=False)
_meter: ContextVar[Meter | None] = ContextVar("meter", default=None)


def counted(values: Iterable[object]) -> Iterable[object]:
    """Put a loop under the meter of the render that is under way, if there is one."""
    current = _meter.get()
    return values if current is None else current.iterate(iter(values))


@contextmanager
def allowed(seconds: float, *, interrupting: bool = False) -> Iterator[None]:
    """Let each template that is run inside take so many seconds of work, instead of ``SECONDS``.

    ``interrupting`` also stops what never looks at the time; only the main thread of a process can ask for that.
    """
    tokens = _seconds.set(seconds), _interrupting.set(interrupting)
    try:
        if interrupting:
            signal.signal(signal.SIGPROF, _interrupt)
        yield
    finally:
        _seconds.reset(tokens[0])
        _interrupting.reset(tokens[1])


@contextmanager
def metered() -> Iterator[Meter]:
    """Run what is inside under a new meter."""
    current = Meter(_seconds.get())
    token = _meter.set(current)
    interrupting = _interrupting.get()
    try:
        if interrupting:
            signal.setitimer(signal.ITIMER_PROF, _seconds.get(), _AGAIN_SECONDS)
        yield current
    finally:
        if interrupting:
            signal.setitimer(signal.ITIMER_PROF, 0)
        _meter.reset(token)


def _interrupt(*_: object) -> None:
    """Stop the template that runs; one that has just ended is left alone."""
    if _meter.get() is None:
        return
    raise LimitExceeded(TOO_LONG)
