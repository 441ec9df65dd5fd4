"""Faults of templates: where an exception arose in the author's source, and the sentence that says so."""

from collections.abc import Callable, Mapping
from types import TracebackType

from jinja2 import TemplateNotFound, TemplateSyntaxError
from jinja2.exceptions import SecurityError, UndefinedError

from backend.lib.problems import FieldError, Problem
from backend.rendering import runtime_phrases, suggestions, syntax_phrases
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

    def within(self, name: str, line: int) -> "TemplateFault":
        """Return the fault as one of a partial or layout of this name, which has it on ``line``."""
        return TemplateFault(f"{self.reason} (line {line} of '{name}')", None, self.pointer)

    def problem(self, code: str) -> Problem:
        """Return the fault under a code of the error catalogue."""
        return Problem(code, self.sentence, errors=[FieldError(self.pointer, code, self.sentence)])


class LimitExceeded(Exception):
    """A template asked for more time, memory or output than one message may take."""


class WrongUse(TypeError):
    """A template does with a value what cannot be done; it says so to people."""


class MissingVariable(UndefinedError):
    """A template prints a variable that is not there."""

    @property
    def name(self) -> str:
        """Return the name of the variable."""
        return str(self).partition("'")[2].rpartition("'")[0]


def syntax_fault(error: TemplateSyntaxError, pointer: str = SOURCE) -> TemplateFault:
    """Translate what Jinja's compiler says."""
    return TemplateFault(syntax_phrases.phrase(error.message or ""), error.lineno, pointer)


def runtime_fault(
    error: BaseException,
    pointer: str = SOURCE,
    source_line: Callable[[int], Place] | None = None,
    variables: Mapping[str, object] | None = None,
) -> TemplateFault:
    """Translate what was raised while a compiled template ran.

    ``source_line`` turns a line of the compiled template into the author's line, ``variables`` are what it ran with.
    """
    if isinstance(error, TemplateFault):
        return error
    line, layout = _place(error.__traceback__)
    if isinstance(error, TemplateSyntaxError) and line is None:
        line = error.lineno
    if layout is None and line is not None and source_line is not None:
        place = source_line(line)
        line, layout = place.line, place.name
    reason = _reason(error)
    if isinstance(error, MissingVariable) and variables is not None:
        reason += suggestions.variable(error.name, variables)
    fault = TemplateFault(reason, line, pointer)
    return fault if layout is None or line is None else fault.within(layout, line)


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
