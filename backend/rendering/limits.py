"""How much one message may take, and the meter that every template runs under.

In a child process a timer stops a template whose time is up wherever it is, and the kernel bounds everything else.
Elsewhere only templates run that no fields can make costly, and the loops of those look at the time.
"""

import keyword
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import islice

from backend.lib import clock
from backend.rendering.faults import LimitExceeded, TemplateFault
from backend.rendering.memory import parted
from backend.rendering.model import NOWHERE, OURS, Memory, Surroundings, Told

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
_SCALARS = frozenset({str, int, float, bool, type(None)})


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


# The data that enters a template: JSON values only, copied, so that nothing else can be reached from there.


def plain(value: object, depth: int = 0) -> object:
    """Copy a JSON value; raise TemplateFault for any other type and for nesting beyond the limit."""
    kind = type(value)
    if kind in _SCALARS:
        return value
    if depth >= DEPTH:
        raise TemplateFault(f"the fields nest more than {DEPTH} levels deep")
    if isinstance(value, dict):
        return {_name(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    raise TemplateFault(f"the fields hold a value of type {kind.__name__}, which JSON has not")


def _plain(memory: Memory | None) -> Memory:
    """Copy what was told before; it came from fields too."""
    if memory is None:
        return Memory(clock.iso(clock.now()))
    told = {}
    for known, one in memory.told.items():
        fields = plain(one.fields)
        assert isinstance(fields, dict)  # noqa: S101 - as above
        told[known] = Told(fields, one.first_seen, one.times_told)
    return Memory(memory.at, told)


def _name(key: object) -> str:
    if type(key) is not str:
        raise TemplateFault("the fields hold a member whose name is not a string")
    return key


def context(
    fields: object,
    *,
    batch: bool,
    around: Surroundings = NOWHERE,
    item_key: str | None = None,
    memory: Memory | None = None,
) -> dict[str, object]:
    """Build the template's variables: ``fields``, and for one notification its members under their own names.

    ``around`` stands behind them: a field of the same name wins.
    Where items are known by ``item_key``, the list of a batch tells which are new against ``memory``.

    Raises TemplateFault where the fields are not what the priority asks for: a list of mappings for a batch,
    else a mapping.
    """
    known = around.variables()
    if batch:
        if not isinstance(fields, (list, tuple)) or not all(isinstance(member, dict) for member in fields):
            raise TemplateFault("a batch is rendered with a list of mappings")
        copied = plain(fields)
        assert isinstance(copied, list)  # noqa: S101 - tells the type checker what plain() keeps
        items = copied if item_key is None else parted(copied, item_key, _plain(memory))
        return {**known, "fields": items, OURS: known["brand"]}
    if not isinstance(fields, dict):
        raise TemplateFault("a notification is rendered with a mapping of fields")
    copied = plain(fields)
    assert isinstance(copied, dict)  # noqa: S101 - tells the type checker what plain() keeps
    members = {name: value for name, value in copied.items() if name.isidentifier() and not keyword.iskeyword(name)}
    return {**known, **members, "fields": copied, OURS: known["brand"]}
