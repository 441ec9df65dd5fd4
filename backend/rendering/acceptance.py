"""Seeing whether messages can be made, thousands of times a second, and without anybody's waiting for another.

What is harmless is rendered in the process for speed alone: without that accepting takes twice to three times as much
of the processor (``python -m tests.benchmarks.devices rendering_here tried_at_once``).
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import msgspec

from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.rendering import engine
from backend.rendering.compiler import compiled, compiled_before
from backend.rendering.faults import TemplateFault
from backend.rendering.limits import TOO_LONG, allowed
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import ACCEPTANCE, TRIALS

# Of processor time: for one message that is tried where others wait, and for all of those that do.
_QUICK_SECONDS = 0.005
_QUICK_SECONDS_OF_ALL = 0.05
_SECONDS = 0.25
# A template that took too long rests, so that the templates of others are tried meanwhile; until when, by its key.
_REST_SECONDS = 10.0
_MOST_SLOW = 1_000
_SLOW: dict[str, float] = {}
_TOO_SLOW = "This template took too long a moment ago. Make it simpler, or send again in a few seconds."
_SECONDS_OF_MANY = 1.0
# Compiling keeps the interpreter from the other threads, so one template is compiled at a time.
_compiling = threading.Lock()
_resting = threading.Lock()


class Allowance:
    """What one group of notifications may take of the thread that all of them wait for, in seconds of its work."""

    def __init__(self) -> None:
        self._left = _QUICK_SECONDS_OF_ALL

    def try_at_once(self, job: RenderJob) -> Rendered | Problem | None:
        """Render what takes next to nothing; None for all else.

        A harmless template may take five thousandths of a second. One that has not been compiled in this process is
        not compiled now.
        """
        if not self.suffices(job):
            return None
        began = time.thread_time()
        result = _tried(job, _QUICK_SECONDS)
        self._left -= time.thread_time() - began
        return result

    def suffices(self, job: RenderJob) -> bool:
        """Tell whether a template may be tried at once."""
        template = compiled_before(job.key, job.source)
        return template is not None and template.harmless and self._left > 0

    def spend(self, seconds: float) -> None:
        """Count what was done for the group beside the rendering."""
        self._left -= seconds


class Deferred(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose fields are read when its turn comes; ``key`` names the template version.

    ``load`` returns the job, or why it cannot be had just now.
    """

    key: str
    load: Callable[[], RenderJob | Problem]


def begin(job: RenderJob | Deferred, share: Share) -> "Future[Rendered | Problem]":
    """Render one message of a published template when its service has its turn: in a child process, unless it is quick.

    A template that is new to this process is compiled first, for this message and those after it; that is safe, for
    it was compiled in a child when it was published. One that has just taken too long is not tried again at once, so
    that those of others are.

    Raises:
        Problem: if the service has asked for too much, or all services together, or the template rests.
    """
    again = _SLOW.get(job.key, 0.0) - time.monotonic()
    if again > 0:
        raise Problem("unavailable", _TOO_SLOW, headers={"Retry-After": str(math.ceil(again))})
    future = ACCEPTANCE.begin(share, lambda: _made_or_left(job))
    future.add_done_callback(lambda done: _let_rest(job.key, done))
    return future


def _let_rest(key: str, done: "Future[Rendered | Problem]") -> None:
    """Remember a template that took too long."""
    if not key or done.cancelled() or done.exception() is not None:
        return
    result = done.result()
    if isinstance(result, Problem) and TOO_LONG in result.detail.lower():
        with _resting:
            _SLOW[key] = time.monotonic() + _REST_SECONDS
            while len(_SLOW) > _MOST_SLOW:
                del _SLOW[next(iter(_SLOW))]


def _made_or_left(job: RenderJob | Deferred) -> RenderJob | Rendered | Problem:
    """Make a message, or return the job that a child is to do."""
    if isinstance(job, RenderJob) and compiled_before(job.key, job.source) is not None:
        return job  # it was found to be slow
    loaded = job.load() if isinstance(job, Deferred) else job
    if isinstance(loaded, Problem):
        return loaded
    with _compiling:
        harmless = is_harmless(loaded)
    return (_tried(loaded, _QUICK_SECONDS) if harmless else None) or loaded


def render(job: RenderJob | Deferred, share: Share) -> Rendered | Problem:
    """Begin one message and wait for it; the problem is that of its template, or why it was not rendered."""
    try:
        future = begin(job, share)
    except Problem as problem:
        return problem
    try:
        return future.result(ACCEPTANCE.patience)
    except TimeoutError:
        return too_long(share) if future.cancel() else future.result()


def patience() -> float:
    """Return for how many seconds a message that was begun may wait for its turn."""
    return ACCEPTANCE.patience


def too_long(share: Share) -> Problem:
    """Say why a message that was begun still waits after that."""
    return ACCEPTANCE.too_long(share)


def render_many(jobs: Sequence[RenderJob], share: Share) -> list[Rendered | Problem]:
    """Render messages of a published template; each result is the message, or the problem of that job alone.

    What is harmless is rendered here, for a second at most. From the first on that is not, or takes too long, they are
    rendered in a child process that keeps no delivery waiting.
    """
    results: list[Rendered | Problem] = []
    end = time.thread_time() + _SECONDS_OF_MANY
    while len(results) < len(jobs) and time.thread_time() < end:
        result = _tried_here(jobs[len(results)])
        if result is None:
            break
        results.append(result)
    left = jobs[len(results) :]
    return results + TRIALS.render_many(left, share) if left else results


def is_harmless(job: RenderJob) -> bool:
    """Tell whether a job is of those that may be rendered here, as long as they do not take too long."""
    try:
        return compiled(job.key, job.source).harmless
    except TemplateFault:
        return False


def is_memberwise(job: RenderJob) -> bool:
    """Tell whether a template is known to render a batch whenever it renders each of its members alone.

    It is known once the template was compiled in this process.
    """
    template = compiled_before(job.key, job.source)
    return template is not None and template.memberwise


def _tried_here(job: RenderJob) -> Rendered | Problem | None:
    """Render a harmless job; None for every other one, and for one that takes too long."""
    return _tried(job, _SECONDS) if is_harmless(job) else None


def _tried(job: RenderJob, seconds: float) -> Rendered | Problem | None:
    began = time.thread_time()
    try:
        with allowed(seconds):
            return engine.render(job)
    except Problem as problem:
        return problem if time.thread_time() - began < seconds else None
