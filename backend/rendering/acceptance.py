"""Seeing whether a notification's message can be made, thousands of times a second."""

import time

from backend.lib.problems import Problem
from backend.rendering import engine
from backend.rendering.compiler import compiled
from backend.rendering.faults import TemplateFault
from backend.rendering.limits import allowed
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import DELIVERIES

_SECONDS = 0.25


def render(job: RenderJob) -> Rendered:
    """Render one message of a published template; raises Problem ``template_arguments``.

    A harmless template is rendered here, for a quarter of a second at most; every other one in a child process. To
    compile it here is safe, since it was compiled in a child when it was published.
    """
    if not _is_harmless(job):
        return DELIVERIES.render(job)
    began = time.thread_time()
    try:
        with allowed(_SECONDS):
            return engine.render(job)
    except Problem:
        if time.thread_time() - began < _SECONDS:
            raise
    return DELIVERIES.render(job)


def _is_harmless(job: RenderJob) -> bool:
    try:
        return compiled(job.key, job.source).harmless
    except TemplateFault:
        return False
