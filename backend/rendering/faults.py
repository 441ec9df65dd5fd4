"""Faults of templates: where an exception arose in the author's source, and the sentence that says so."""

from collections.abc import Callable, Mapping
from types import TracebackType

from jinja2 import TemplateNotFound, TemplateSyntaxError
from jinja2.exceptions import SecurityError, UndefinedError

from backend.lib.problems import FieldError, Problem
from backend.rendering.model import Place

SOURCE = "/source"
SUBJECT = "/subject"
_LONGEST_REASON = 300
# The codes of what is wrong with a template, or with the fields for it; others say that it was not rendered.
OF_TEMPLATE = frozenset({"template_arguments", "invalid_template"})


class TemplateFault(Exception):
    """A template that cannot work, or cannot work with these fields; ``line`` counts from 1."""

    def __init__(self, reason: str, line: int | None = None, pointer: str = SOURCE) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line
        self.pointer = pointer

    @property
    def sentence(self) -> str:
        """Say the place and the reason in one sentence."""
        place = "Subject" if self.pointer == SUBJECT else None
        if self.line is not None and place is None:
            place = f"Line {self.line}"
        stop = "" if self.reason.endswith("?") else "."
        return f"{place}: {self.reason}{stop}" if place else f"{self.reason[:1].upper()}{self.reason[1:]}{stop}"

    def problem(self, code: str) -> Problem:
        """Return the fault under a code of the error catalogue."""
        return Problem(code, self.sentence, errors=[FieldError(self.pointer, code, self.sentence)])


class LimitExceeded(Exception):
    """A template asked for more time, memory or output than one message may take."""


def syntax_fault(error: TemplateSyntaxError, pointer: str = SOURCE) -> TemplateFault:
    """Translate what Jinja's parser says."""
    return TemplateFault(_clean(error.message or "not a Jinja template"), error.lineno, pointer)


def runtime_fault(
    error: BaseException, pointer: str = SOURCE, source_line: Callable[[int], Place] | None = None
) -> TemplateFault:
    """Translate what was raised while a compiled template ran.

    ``source_line`` turns a line of the compiled template into the author's line.
    """
    if isinstance(error, TemplateFault):
        return error
    line, layout = _place(error.__traceback__)
    reason = _reason(error)
    if layout is None and line is not None and source_line is not None:
        place = source_line(line)
        line, layout = place.line, place.name
    if layout is not None:
        reason = f"{reason} (line {line} of '{layout}')"
        line = None
    return TemplateFault(reason, line, pointer)


def _place(traceback: TracebackType | None) -> tuple[int | None, str | None]:
    """Find the innermost frame of template code: its line, and the layout's name if it is one of ours."""
    line, layout = None, None
    while traceback is not None:
        template = traceback.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            line, layout = template.get_corresponding_lineno(traceback.tb_lineno), template.name
        traceback = traceback.tb_next
    return line, layout


_FIXED: Mapping[type[BaseException], str] = {
    RecursionError: "the template nests too deeply",
    MemoryError: "the template needs too much memory",
    ZeroDivisionError: "division by zero",
}


def _reason(error: BaseException) -> str:
    for kind, sentence in _FIXED.items():
        if isinstance(error, kind):
            return sentence
    if isinstance(error, TemplateNotFound):
        return f"there is no partial or layout named '{str(error.name)[:80]}'"
    if isinstance(error, (UndefinedError, SecurityError, LimitExceeded)):
        return _clean(str(error))
    if isinstance(error, TemplateSyntaxError):
        return _clean(error.message or "not a Jinja template")
    return _clean(f"{error or type(error).__name__}")


def _clean(reason: str) -> str:
    """Bring a foreign message to the form of a clause: one line, bounded, without its full stop."""
    clauses = " ".join(reason.split())[:_LONGEST_REASON].rstrip(".").split(". ")
    return "; ".join(clause[:1].lower() + clause[1:] if clause[1:2].islower() else clause for clause in clauses)
