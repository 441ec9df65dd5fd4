"""Rendering one message, and compiling its template from MJML."""

import itertools
import time
from collections.abc import Callable

import msgspec

from backend.rendering import engine
from backend.rendering.model import RenderJob, Source
from backend.rendering.starters import starters
from tests.benchmarks.table import Row


def rows() -> list[Row]:
    """Measure the message about one sample, HTML and text, and the compilation of its MJML."""
    starter = next(one for one in starters() if one.identifier == "ACCESSIONING_FAILURE")
    source = Source(format=starter.format, source=starter.source, subject=starter.subject)
    job = RenderJob(key="benchmark", source=source, fields=starter.sample_fields)
    numbers = itertools.count()
    rendered = _seconds_each(lambda: engine.render(job), 300)
    compiled = _seconds_each(lambda: engine.render(msgspec.structs.replace(job, key=f"new {next(numbers)}")), 60)
    return [
        Row(name="render", rate=1 / rendered, seconds=rendered, note="one sample, HTML and text"),
        Row(name="mjml_compile", seconds=compiled - rendered, note=f"{source.source.count(chr(10))} lines of MJML"),
    ]


def _seconds_each(work: Callable[[], object], times: int) -> float:
    work()
    before = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - before) / times
