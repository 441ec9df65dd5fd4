"""Seeing whether messages can be made, thousands of times a second."""

import time
from collections.abc import Sequence

from backend.lib.problems import Problem
from backend.rendering import engine
from backend.rendering.compiler import compiled
from backend.rendering.faults import TemplateFault
from backend.rendering.limits import allowed
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import DELIVERIES, TRIALS

_SECONDS = 0.25
_SECONDS_OF_MANY = 1.0


def render(job: RenderJob) -> Rendered:
    """Render one message of a published template; raises Problem ``template_arguments``.

    A harmless template is rendered here, for a quarter of a second at most; every other one in a child process. To
    compile it here is safe, since it was compiled in a child when it was published.
    """
    result = _tried_here(job)
    if isinstance(result, Problem):
        raise result
    return result or DELIVERIES.render(job)


def render_many(jobs: Sequence[RenderJob]) -> list[Rendered | Problem]:
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
    return results + TRIALS.render_many(left) if left else results


def is_harmless(job: RenderJob) -> bool:
    """Tell whether a job is of those that may be rendered here, as long as they do not take too long."""
    try:
        return compiled(job.key, job.source).harmless
    except TemplateFault:
        return False


def _tried_here(job: RenderJob) -> Rendered | Problem | None:
    """Render a harmless job; None for every other one, and for one that takes too long."""
    if not is_harmless(job):
        return None
    began = time.thread_time()
    try:
        with allowed(_SECONDS):
            return engine.render(job)
    except Problem as problem:
        return problem if time.thread_time() - began < _SECONDS else None
