"""Rendering one message, turning MJML into HTML, and making a template ready to run."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from backend.lib.fair_pool import Share
from backend.rendering import engine
from backend.rendering.jinja.masking import Mask
from backend.rendering.mjml.compiler import to_html
from backend.rendering.model import RenderJob, Source
from backend.rendering.pool import DELIVERIES
from backend.rendering.starters import starters
from tests.benchmarks.table import Row

_REPORT = Path(__file__).parents[1] / "fixtures" / "rendering" / "sample_report.mjml"
# As many as a worker takes up at once.
_TOGETHER = 50
_SHARE = Share(1)


def rows() -> list[Row]:
    """Measure the message about one sample, HTML and text, and the ways of its template."""
    starter = next(one for one in starters() if one.identifier == "ACCESSIONING_FAILURE")
    source = Source(format=starter.format, source=starter.source, subject=starter.subject)
    job = RenderJob(key="benchmark", source=source, fields=starter.sample_fields)
    numbers = itertools.count()
    rendered = _seconds_each(lambda: engine.render(job), 300)
    compiled = _seconds_each(lambda: engine.render(msgspec.structs.replace(job, key=f"new {next(numbers)}")), 60)
    report = _REPORT.read_text()
    html = _seconds_each(lambda: _to_html(f"{report}<!-- {next(numbers)} -->\n"), 100)
    DELIVERIES.render(job, _SHARE)
    together = _seconds_each(lambda: DELIVERIES.render_many([job] * _TOGETHER, _SHARE), 10) / _TOGETHER
    alone = _seconds_each(lambda: DELIVERIES.render(job, _SHARE), 100)
    note = f"in a child, {_TOGETHER} in a call: {(together - rendered) * 1000:+.2f} ms; one in a call"
    return [
        Row(name="render_in_process", rate=1 / rendered, seconds=rendered, note="one sample, HTML and text"),
        Row(name="render", rate=1 / together, seconds=together, note=f"{note}: {(alone - rendered) * 1000:+.2f} ms"),
        Row(name="mjml_compile", seconds=html, note=f"{report.count(chr(10))} lines of MJML to HTML"),
        Row(name="template_compile", seconds=compiled - rendered, note="MJML, inlining, text alternative, Jinja"),
    ]


def _to_html(source: str) -> None:
    to_html(source, Mask(source))


def _seconds_each(work: Callable[[], object], times: int) -> float:
    work()
    before = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - before) / times
