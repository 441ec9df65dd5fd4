"""Renders messages, and checks templates before they are published, in the process that calls."""

import re
import time
from collections.abc import Callable, Sequence

import msgspec
from jinja2 import Template
from jinja2.runtime import Context

from backend.lib.problems import Problem
from backend.rendering.clipping import always_clipped, clipped
from backend.rendering.compiler import Compiled, compiled
from backend.rendering.faults import SOURCE, SUBJECT, TemplateFault
from backend.rendering.fields_read import reads_fields
from backend.rendering.html.inlining import css_inliner
from backend.rendering.html.pages import completed, surrounded, text_to_html
from backend.rendering.inspection import inspect
from backend.rendering.jinja.errors import runtime_fault
from backend.rendering.jinja.filters import CHOICE, SPOKEN, Choice
from backend.rendering.jinja.needs import are_met
from backend.rendering.jinja.sandbox import GLOBALS
from backend.rendering.limits import Meter, context, metered
from backend.rendering.markdown import Values, to_html, values_kept
from backend.rendering.memory import with_example
from backend.rendering.model import NO_LAYOUT, Location, Rendered, RenderJob, Source, TemplateWarning
from backend.rendering.text.flow import text_alternative
from backend.rendering.text.layout import lay_out
from backend.rendering.text.template import flow_template

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\s]+")
_OWN = {CHOICE: None, SPOKEN: None}  # tells Jinja which of the variables an imported partial has besides
_WITH_LAYOUT = frozenset({"markdown", "text"})
_READING_SECONDS = 60e-9  # measured, for each character of HTML
_SHORT_SECONDS = 1e-3


def render(job: RenderJob) -> Rendered:
    """Render one message; raises Problem ``template_arguments`` with the line and the reason."""
    try:
        return _render(job)
    except TemplateFault as fault:
        raise fault.problem("template_arguments") from None
    except Exception as error:
        raise runtime_fault(error).problem("template_arguments") from None


def render_many(jobs: Sequence[RenderJob]) -> list[Rendered | Problem]:
    """Render messages one by one; each result is the message, or the problem of that job alone."""
    results: list[Rendered | Problem] = []
    for job in jobs:
        try:
            results.append(render(job))
        except Problem as problem:
            results.append(problem)
    return results


def check(source: Source, sample_fields: object | None = None, *, batch: bool = False) -> list[TemplateWarning]:
    """Check a template before it is published.

    ``sample_fields`` is an example of what will be sent: one JSON object, or a list of them for a batch. Returns
    what the author should look at; raises Problem ``invalid_template`` for a template that cannot work.
    """
    warnings = _looked_at(source, sample_fields, batch=batch)
    if sample_fields is not None:
        warnings.extend(_trial(with_example(RenderJob("", source, sample_fields, batch)), warnings))
    elif not source.fragment:
        warnings.extend(_without_sample(source))
    return _in_order(warnings)


def preview(job: RenderJob) -> tuple[Rendered | Problem, list[TemplateWarning]]:
    """Render a text that is being edited: the message, or the problem that there is, and what its author should see."""
    warnings: list[TemplateWarning] = []
    try:
        warnings = _looked_at(job.source, job.fields, batch=job.batch)
        rendered = render(with_example(job))
    except Problem as problem:
        return problem, _in_order(warnings)
    return rendered, _in_order([*warnings, *clipped(rendered)])


def _looked_at(source: Source, sample: object | None, *, batch: bool) -> list[TemplateWarning]:
    try:
        # The inspection comes first: it reads the source as it was written, and so names the lines best.
        return [*inspect(source, sample, batch=batch), *compiled("", source).warnings]
    except TemplateFault as fault:
        raise fault.problem("invalid_template") from None
    except Exception as error:
        raise runtime_fault(error).problem("invalid_template") from None


def _in_order(warnings: list[TemplateWarning]) -> list[TemplateWarning]:
    return sorted(warnings, key=lambda warning: (warning.line or 0, warning.code))


def _render(job: RenderJob) -> Rendered:
    template = compiled(job.key, job.source)
    source = job.source
    fields = context(job.fields, batch=job.batch, around=source.around, item_key=source.item_key, memory=job.memory)
    tried = not (job.want_html or job.want_text)
    certain = tried and template.needs is not None and are_met(template.needs, fields)
    if certain and template.subject is None:
        return Rendered(None, None, "")
    variables = {**GLOBALS, **fields, CHOICE: Choice(job.fields), SPOKEN: job.source.language}
    if tried:
        return _tried(template, variables, certain=certain)
    with metered() as meter, values_kept(job.source) as values:
        subject = _subject(template.subject, variables, meter)
        if (
            job.want_text
            and not job.want_html
            and template.flow is not None
            and (text := _flow(template.flow, variables)) is not None
        ):
            return Rendered(subject, None, text)
        began = time.monotonic()
        body = _run(template.body, variables, meter, template.source_line)
        seconds = time.monotonic() - began
        layout = _run(template.layout, variables, meter) if template.layout is not None and job.want_html else None
    title = job.subject or subject
    if job.source.format in _WITH_LAYOUT:
        plain = _without_layout(job, subject, body, values)
        if layout is None:
            return plain
        page = surrounded(layout, plain.html or text_to_html(plain.text), title)
        page = completed(page, job.source.language, title)
        return msgspec.structs.replace(plain, html=page, fragment=plain.html or "")
    inlined = _inlined(body, template) if job.source.format == "mjml" else body
    html = completed(inlined, job.source.language, title)
    text = _text(html, template, variables, seconds) if job.want_text else ""
    return Rendered(subject, html if job.want_html else None, text)


def _without_layout(job: RenderJob, subject: str | None, body: str, values: Values) -> Rendered:
    """Return the message of a Markdown or text template, of which only the former has HTML of its own."""
    footer = "" if job.source.layout == NO_LAYOUT else job.source.around.brand.footer.text
    if job.source.format == "text":
        return Rendered(subject, None, body.strip("\n"), footer=footer)
    html = to_html(body, values)
    text = text_alternative(html) if job.want_text else ""
    markdown = values.markdown(body).strip("\n")
    return Rendered(subject, html if job.want_html else None, text, markdown, footer=footer)


def _tried(template: Compiled, variables: dict[str, object], *, certain: bool) -> Rendered:
    """See that a message can be made of which only the subject is wanted; what is certain is not run for that."""
    with metered() as meter:
        subject = _subject(template.subject, variables, meter)
        if not certain:
            _run(template.body, variables, meter, template.source_line)
            if template.layout is not None and template.layout_varies:
                _run(template.layout, variables, meter)
    return Rendered(subject, None, "")


def _subject(template: Template | None, variables: dict[str, object], meter: Meter) -> str | None:
    if template is None:
        return None
    line = _run(template, variables, meter, pointer=SUBJECT)
    return " ".join((line if line.isprintable() else _CONTROL.sub(" ", line)).split())


def _text(html: str, template: Compiled, variables: dict[str, object], seconds: float) -> str:
    """Write the text alternative in the quicker of two ways that lead to the same.

    ``seconds`` is what the HTML took: where that is long for so little, as in a summary of ten thousand fields,
    reading the HTML is quicker than running the template once more.
    """
    if template.flow is None or seconds > max(len(html) * _READING_SECONDS, _SHORT_SECONDS):
        return text_alternative(html)
    text = _flow(template.flow, variables)
    return text if text is not None else text_alternative(html)


def _flow(source: str, variables: dict[str, object]) -> str | None:
    """Write the text alternative without HTML; None where that fails, since the HTML tells the line of a fault."""
    template = flow_template(source)
    if template is None:
        return None
    try:
        with metered() as meter:
            return lay_out(_run(template, variables, meter))
    except TemplateFault:
        return None


def _run(
    template: Template,
    variables: dict[str, object],
    meter: Meter,
    source_line: Callable[[int], Location] | None = None,
    pointer: str = SOURCE,
) -> str:
    """Run a template, watching the time and the size of what it writes."""
    try:
        # Template.new_context would copy the variables and globals, which took a third of a short message's time.
        rendering_context = Context(template.environment, variables, template.name, template.blocks, _OWN)
        return "".join(meter.written(template.root_render_func(rendering_context)))
    except Exception as error:
        raise runtime_fault(error, pointer, source_line, variables) from None


def _inlined(html: str, template: Compiled) -> str:
    """Write the style sheets that the author asked to have inline into the elements."""
    inliner = template.inliner
    if template.inline_marks is not None:
        start, end = template.inline_marks
        before, _, rest = html.partition(start)
        css, _, after = rest.partition(end)
        html, inliner = before + after, css_inliner(css)
    return inliner.inline(html) if inliner is not None else html


def _without_sample(source: Source) -> list[TemplateWarning]:
    """Say what is certain of all messages: their size, and what goes wrong where no field is read."""
    try:
        return clipped(_render(RenderJob("", source, {})))
    except TemplateFault as fault:
        if reads_fields(source):
            return always_clipped(compiled("", source).fixed) if source.format in {"html", "mjml"} else []
        return [TemplateWarning(fault.line, "sample_fields", f"Every message: {fault.sentence}")]


def _trial(job: RenderJob, told: Sequence[TemplateWarning]) -> list[TemplateWarning]:
    """Render with the sample fields and say what a reader of the message would meet."""
    try:
        rendered = _render(job)
    except TemplateFault as fault:
        if any(_is_told(fault, one) for one in told):
            return []
        return [TemplateWarning(fault.line, "sample_fields", f"With the sample fields: {fault.sentence}")]
    return clipped(rendered)


def _is_told(fault: TemplateFault, warning: TemplateWarning) -> bool:
    """Tell whether a warning is of the same place: a line, the subject, or the line of a partial."""
    if fault.line is not None:
        return fault.line == warning.line
    if fault.pointer == SUBJECT:
        return warning.detail.startswith("Subject: ")
    _, begins, within = fault.reason.rpartition("(line ")
    return bool(begins) and f"(Line {within.rstrip(')')}.)" in warning.detail
