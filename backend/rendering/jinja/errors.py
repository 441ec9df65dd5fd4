"""What Jinja raises, as a fault of the template: where it arose in the author's source, in words for people."""

from collections.abc import Callable, Mapping
from types import TracebackType

from jinja2 import TemplateNotFound, TemplateSyntaxError
from jinja2.exceptions import SecurityError, UndefinedError

from backend.rendering.faults import SOURCE, LimitExceeded, MissingVariable, TemplateFault, WrongUse
from backend.rendering.jinja import runtime_phrases, suggestions, syntax_phrases
from backend.rendering.model import Location

_LONGEST_REASON = 300


def syntax_fault(error: TemplateSyntaxError, pointer: str = SOURCE) -> TemplateFault:
    """Translate what Jinja's compiler says."""
    return TemplateFault(syntax_phrases.phrase(error.message or ""), error.lineno, pointer)


def runtime_fault(
    error: BaseException,
    pointer: str = SOURCE,
    source_line: Callable[[int], Location] | None = None,
    variables: Mapping[str, object] | None = None,
) -> TemplateFault:
    """Translate what was raised while a compiled template ran.

    ``source_line`` turns a line of the compiled template into the author's line, ``variables`` are what it ran with.
    """
    if isinstance(error, TemplateFault):
        return error
    line, layout = _location(error.__traceback__)
    if isinstance(error, TemplateSyntaxError) and line is None:
        line = error.lineno
    if layout is None and line is not None and source_line is not None:
        source = source_line(line)
        line, layout = source.line, source.name
    reason = _reason(error)
    if isinstance(error, MissingVariable) and variables is not None:
        reason += suggestions.variable(error.name, variables)
    fault = TemplateFault(reason, line, pointer)
    return fault if layout is None or line is None else fault.within(layout, line)


def _location(traceback: TracebackType | None) -> tuple[int | None, str | None]:
    """Find the innermost frame of template code: its line, and the layout's name if it is one of ours."""
    line, layout = None, None
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line, layout = template.get_corresponding_lineno(traceback.tb_lineno), template.name
        traceback = traceback.tb_next
    return line, layout


_FIXED: Mapping[type[BaseException], str] = {
    RecursionError: "the template nests too deeply, or something in it calls itself without an end",
    MemoryError: "the template needs too much memory",
    ZeroDivisionError: "division by zero: ask first whether the number is 0",
}
_OURS = (LimitExceeded, SecurityError, UndefinedError, WrongUse)


def _reason(error: BaseException) -> str:
    for kind, sentence in _FIXED.items():
        if isinstance(error, kind):
            return sentence
    if isinstance(error, TemplateNotFound):
        return f"there is no partial or layout named '{str(error.name)[:80]}'"
    if isinstance(error, TemplateSyntaxError):
        return syntax_phrases.phrase(error.message or "")
    said = str(error)
    known = runtime_phrases.phrase(said)
    if known is None and not isinstance(error, _OURS):
        return runtime_phrases.in_general(error.__traceback__)
    return known or _clean(said)


def _clean(reason: str) -> str:
    """Bring a message to the form of a clause: one line, bounded, without its full stop."""
    clauses = " ".join(reason.split())[:_LONGEST_REASON].rstrip(".").split(". ")
    return "; ".join(clause[:1].lower() + clause[1:] if clause[1:2].islower() else clause for clause in clauses)
