"""Seeing whether messages can be made, thousands of times a second, and without anybody's waiting for another."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future

from backend.lib.fair import Share
from backend.lib.problems import Problem
from backend.rendering import engine
from backend.rendering.compiler import compiled, compiled_before
from backend.rendering.faults import TemplateFault
from backend.rendering.limits import allowed
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import ACCEPTANCE, TRIALS

# Of processor time: for one message that is tried where others wait, and for all of those that do.
_QUICK_SECONDS = 0.005
_QUICK_SECONDS_OF_ALL = 0.05
_SECONDS = 0.25
_SECONDS_OF_MANY = 1.0
# Compiling keeps the interpreter from the other threads, so one template is compiled at a time.
_compiling = threading.Lock()


class Allowance:
    """What one group of notifications may take of the thread that all of them wait for, in seconds of its work."""

    def __init__(self) -> None:
        self._left = _QUICK_SECONDS_OF_ALL

    def try_at_once(self, job: RenderJob) -> Rendered | Problem | None:
        """Render what takes next to nothing; None for all else.

        What its needs prove is not run but for its subject. Any other harmless template may take five thousandths of
        a second. One that has not been compiled in this process is not compiled now.
        """
        template = compiled_before(job.key, job.source)
        if template is None or not template.harmless or self._left <= 0:
            return None
        began = time.thread_time()
        result = _tried(job, _QUICK_SECONDS)
        self._left -= time.thread_time() - began
        return result


def begin(job: RenderJob, share: Share) -> "Future[Rendered | Problem]":
    """Render one message of a published template when its service has its turn: in a child process, unless it is quick.

    A template that is new to this process is compiled first, for this message and those after it; that is safe, for
    it was compiled in a child when it was published.

    Raises:
        Problem: if the service has asked for too much, or all services together.
    """
    return ACCEPTANCE.begin(job, share, lambda: _compiled_and_tried(job))


def _compiled_and_tried(job: RenderJob) -> Rendered | Problem | None:
    if compiled_before(job.key, job.source) is not None:
        return None  # it was found to be slow
    with _compiling:
        harmless = is_harmless(job)
    return _tried(job, _QUICK_SECONDS) if harmless else None


def render(job: RenderJob, share: Share) -> Rendered | Problem:
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
