"""The child process that renders: started fresh, it imports this package alone, and so holds no secret."""

import gc
import unicodedata  # noqa: F401 - a string in a template may name a character, and nothing can be imported later
from collections.abc import Sequence

import msgspec

from backend.lib import child
from backend.lib.problems import Problem
from backend.rendering import engine, locales, model
from backend.rendering.faults import TemplateFault
from backend.rendering.limits import allowed
from backend.rendering.mjml.assembly import starters_partials
from backend.rendering.model import Format, Opening, Outcome, RenderJob, Source, Task

_MEMORY = 768 * 1024 * 1024
# Far above the time that a template may run: styles, CommonMark and the text alternative come after that.
_CPU_SECONDS = 15
_HALVES = "the message holds halves of characters (surrogates), which are no text"
_MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section></mj-body></mjml>"
_LINE = (
    "{{ name|tojson }} {{ '2026-03-02T14:05:00Z'|date('%d %B %Y %Z') }} {{ 'x'|wordwrap(3)|urlencode }}"
    "{{ '2026-03-02T14:05:00Z'|date('full') }}{{ 1|number }}{{ lipsum(1)|urlize|pprint }}{{ [1]|random }}"
)


class _Conversations:
    """Answers questions; each conversation begins with the sources of its tasks."""

    def __init__(self) -> None:
        self._opening = Opening(0.0, [])

    def answer(self, question: bytes) -> bytes:
        content = model.read(question, self._opening.sources)
        if isinstance(content, Opening):
            self._opening = content
            return b""
        with allowed(self._opening.seconds, interrupting=True):
            outcome = _outcome(content)
        try:
            return model.encoded(outcome)
        except UnicodeEncodeError:
            return model.encoded(model.refused(TemplateFault(_HALVES).problem(model.CODES[content.deed])))


def _outcome(task: Task) -> Outcome:
    job = task.job
    try:
        if task.deed == "check":
            return Outcome(warnings=engine.check(job.source, job.fields, batch=job.batch))
        if task.deed == "render":
            return Outcome(rendered=engine.render(job))
    except Problem as problem:
        return model.refused(problem)
    rendered, warnings = engine.preview(job)
    if isinstance(rendered, Problem):
        return msgspec.structs.replace(model.refused(rendered), warnings=warnings)
    return Outcome(rendered=rendered, warnings=warnings)


def warm_up() -> None:
    """Make everything load that is loaded when it is first needed: nothing can be opened later."""
    starters_partials()
    locales.read_ahead()
    formats: Sequence[Format] = ("html", "text", "markdown", "mjml")
    for name in formats:
        for line in (_LINE, "{{ missing }}", "{{ name"):
            source = Source(name, _MJML.format(line) if name == "mjml" else line, line)
            _outcome(Task("check", RenderJob("", source, {"name": "é"})))
            _outcome(Task("render", RenderJob("", source, {"name": "é"})))


def main() -> None:
    """Answer questions until nobody asks any more."""
    warm_up()
    gc.collect()
    gc.freeze()
    child.serve_bytes(_Conversations().answer, memory=_MEMORY, cpu_seconds=_CPU_SECONDS)
