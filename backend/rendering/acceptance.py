"""Seeing whether messages can be made, thousands of times a second."""

import math
import time
from collections.abc import Sequence

from backend.lib.problems import Problem
from backend.rendering import engine
from backend.rendering.compiler import compiled
from backend.rendering.faults import TemplateFault
from backend.rendering.limits import TOO_LONG, allowed
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import ADMISSIONS, TRIALS

_SECONDS = 0.25
# A template that took too long rests, so that the templates of others are tried meanwhile; until when, by its key.
_REST_SECONDS = 10.0
_MOST_SLOW = 1_000
_SLOW: dict[str, float] = {}
_TOO_SLOW = "This template took too long a moment ago. Make it simpler, or send again in a few seconds."
_SECONDS_OF_MANY = 1.0


def render(job: RenderJob) -> Rendered:
    """Render one message of a published template; raises Problem ``template_arguments``.

    A harmless template is rendered here, for a quarter of a second at most; every other one in a child process, which
    no delivery waits for. To compile it here is safe, since it was compiled in a child when it was published. One that
    has just taken too long is not tried again at once, so that those of others are.
    """
    result = _tried_here(job)
    if isinstance(result, Problem):
        raise result
    return result or _tried_in_a_child(job)


def _tried_in_a_child(job: RenderJob) -> Rendered:
    again = _SLOW.get(job.key, 0.0) - time.monotonic()
    if again > 0:
        raise Problem("unavailable", _TOO_SLOW, headers={"Retry-After": str(math.ceil(again))})
    try:
        return ADMISSIONS.render(job)
    except Problem as problem:
        if TOO_LONG in problem.detail.lower() and job.key:
            _SLOW[job.key] = time.monotonic() + _REST_SECONDS
            while len(_SLOW) > _MOST_SLOW:
                _SLOW.pop(next(iter(_SLOW)), None)
        raise


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


def is_memberwise(job: RenderJob) -> bool:
    """Tell whether a template renders a batch whenever it renders each of its members alone."""
    try:
        return compiled(job.key, job.source).memberwise
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
