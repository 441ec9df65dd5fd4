"""Faults of templates, each with the sentence that says it to people."""

from jinja2.exceptions import UndefinedError

from backend.lib.problems import FieldError, Problem

SOURCE = "/source"
SUBJECT = "/subject"
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
        location = "Subject" if self.pointer == SUBJECT else None
        if self.line is not None and location is None:
            location = f"Line {self.line}"
        stop = "" if self.reason.endswith("?") else "."
        return f"{location}: {self.reason}{stop}" if location else f"{self.reason[:1].upper()}{self.reason[1:]}{stop}"

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
