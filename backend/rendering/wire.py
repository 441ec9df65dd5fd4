"""What passes between this process and the children that render: plain data both ways.

Questions go out with ``marshal``, which is quick and keeps every JSON value as it is; what comes back from a child is
read as typed MessagePack, for a child that strangers work in is not believed more than that.
"""

import marshal
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from backend.lib.problems import FieldError, Problem
from backend.rendering.model import Memory, Rendered, RenderJob, Source, TemplateWarning

Deed = Literal["render", "check", "preview"]


class Task(msgspec.Struct, frozen=True):
    """One thing to do with one job: ``check`` takes the fields as a sample, of which there may be none."""

    deed: Deed
    job: RenderJob


class Opening(msgspec.Struct, frozen=True):
    """What begins a conversation: the seconds that each template may run, and the sources of all tasks to come."""

    seconds: float
    sources: list[Source]


class Refusal(msgspec.Struct, frozen=True):
    """A problem on its way."""

    code: str
    detail: str
    errors: list[FieldError]


class Outcome(msgspec.Struct, frozen=True):
    """What came of a task: a message, warnings, or why there is none."""

    rendered: Rendered | None = None
    warnings: list[TemplateWarning] = []
    refusal: Refusal | None = None

    @property
    def problem(self) -> Problem | None:
        """Return the problem, if there was one."""
        told = self.refusal
        return Problem(told.code, told.detail, errors=told.errors) if told else None


class Unsendable(Exception):
    """The fields hold what JSON has not."""


# Under which code of the error catalogue a fault of the template is told.
CODES: dict[Deed, str] = {
    "render": "template_arguments",
    "preview": "template_arguments",
    "check": "invalid_template",
}
_OPENING_LENGTH = 2
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Outcome)


def refused(problem: Problem) -> Outcome:
    """Put a problem into an outcome."""
    return Outcome(refusal=Refusal(problem.code, problem.detail, list(problem.errors)))


def questions(tasks: Sequence[Task], seconds: float) -> list[bytes]:
    """Write the questions for one child: first the time that a template may run, and each source once; then the tasks.

    Raises:
        Unsendable: if the fields are no plain data.
    """
    sources: dict[Source, int] = {}
    asked: list[bytes] = []
    for task in tasks:
        job = task.job
        number = sources.setdefault(job.source, len(sources))
        parts = (job.fields, job.batch, job.want_html, job.want_text, job.subject)
        told: Any = (task.deed, number, job.key, *parts, msgspec.to_builtins(job.memory))
        try:
            asked.append(marshal.dumps(told))
        except ValueError:
            raise Unsendable from None
    opening = (seconds, msgspec.to_builtins(list(sources)))
    return [marshal.dumps(opening), *asked]


def read(question: bytes, sources: Sequence[Source]) -> Opening | Task:
    """Read a question, whose source is among those that the opening gave."""
    content: Any = marshal.loads(question)  # noqa: S302 - written by the process that started this one
    if len(content) == _OPENING_LENGTH:
        seconds, given = content
        return Opening(seconds, msgspec.convert(given, list[Source]))
    deed, number, key, fields, batch, want_html, want_text, subject, memory = content
    known = msgspec.convert(memory, Memory | None)
    return Task(deed, RenderJob(key, sources[number], fields, batch, want_html, want_text, subject, known))


def encoded(outcome: Outcome) -> bytes:
    """Write an outcome; raises UnicodeEncodeError for half of a character."""
    return _ENCODER.encode(outcome)


def decoded(answer: bytes) -> Outcome:
    """Read an outcome; raises msgspec.MsgspecError for anything else."""
    return _DECODER.decode(answer)
