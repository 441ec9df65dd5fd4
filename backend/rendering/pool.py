"""The door of the room: rendering in child processes, so that no template can eat the process that asks.

A template that takes too long, or too much memory, costs its child; the other jobs of the same call go to the next
one. Previews have children of their own: what people try out keeps no message waiting.
"""

import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from backend.lib.child import ChildFailed, Children, NoneFree
from backend.lib.problems import Problem
from backend.rendering import wire
from backend.rendering.data import plain
from backend.rendering.faults import TemplateFault
from backend.rendering.limits import SECONDS, TOO_LONG
from backend.rendering.model import Rendered, RenderJob, Source, TemplateWarning
from backend.rendering.wire import Outcome, Task

_START_SECONDS = 20.0
_RETRY_SECONDS = 5


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How many children there are, and what one job may take.

    ``running`` seconds of work for the template, ``seconds`` by the clock for all of it. At most ``waiting`` callers
    wait for a child, each for ``patience`` seconds; the next is told to come again.
    """

    children: int
    running: float = SECONDS
    seconds: float
    patience: float
    waiting: int


class Pool:
    """Children that render; safe for many threads, and started when they are first needed."""

    def __init__(self, module: str, bounds: Bounds) -> None:
        self._bounds = bounds
        self._children = Children(module, bounds.children)
        self._room = threading.BoundedSemaphore(bounds.children + bounds.waiting)

    def render(self, job: RenderJob) -> Rendered:
        """Render one message; raises Problem ``template_arguments`` with the line and the reason."""
        return _rendered(self._done([Task("render", job)])[0])

    def render_many(self, jobs: Sequence[RenderJob]) -> list[Rendered | Problem]:
        """Render messages; each result is the message, or the problem of that job alone."""
        return [_rendered_or_problem(outcome) for outcome in self._done([Task("render", job) for job in jobs])]

    def check(
        self, source: Source, sample_fields: object | None = None, *, batch: bool = False
    ) -> list[TemplateWarning]:
        """Check a template before it is published, as the engine does; raises Problem ``invalid_template``."""
        outcome = self._done([Task("check", RenderJob("", source, sample_fields, batch))])[0]
        if outcome.problem is not None:
            raise outcome.problem
        return outcome.warnings

    def preview(self, job: RenderJob) -> tuple[Rendered | Problem, list[TemplateWarning]]:
        """Render a text that is being edited, as the engine does."""
        outcome = self._done([Task("preview", job)])[0]
        return _rendered_or_problem(outcome), outcome.warnings

    def close(self) -> None:
        """End the children that are not at work."""
        self._children.close()

    def _done(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Do all tasks; one that ends its child is refused, and the others go to the next child."""
        done: list[Outcome] = []
        suspect = False
        with self._admitted():
            while len(done) < len(tasks):
                try:
                    # One that has ended a child is tried once more alone: the child may have been used up before.
                    left = tasks[len(done) : len(done) + 1] if suspect else tasks[len(done) :]
                    done += self._asked(left)
                    suspect = False
                except OSError:
                    raise _busy("no process could be started for it") from None
                except ChildFailed as failure:
                    done += [wire.decoded(answer) for answer in failure.answers[1:]]
                    alone = suspect and not failure.answers[1:]
                    if failure.unheard:
                        raise _busy("no process could be started for it") from None
                    suspect = not (failure.timed_out or failure.ended_by == signal.SIGXCPU or alone)
                    if not suspect:
                        done.append(wire.refused(_fault(failure).problem(wire.CODES[tasks[len(done)].deed])))
        return done

    def _asked(self, tasks: Sequence[Task]) -> list[Outcome]:
        try:
            questions = wire.questions(tasks, self._bounds.running)
        except wire.Unsendable:
            return [self._made_plain(task) for task in tasks]
        try:
            answers = self._children.ask_all(
                questions, self._bounds.seconds, start_seconds=_START_SECONDS, patience=self._bounds.patience
            )
        except NoneFree:
            raise _busy("many templates are being rendered at this moment") from None
        return [wire.decoded(answer) for answer in answers[1:]]

    def _made_plain(self, task: Task) -> Outcome:
        """Do a task, one of a call in which some have fields that are no plain data."""
        try:
            job = msgspec.structs.replace(task.job, fields=plain(task.job.fields))
        except TemplateFault as fault:
            return wire.refused(fault.problem(wire.CODES[task.deed]))
        return self._asked([msgspec.structs.replace(task, job=job)])[0]

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        if not self._room.acquire(blocking=False):
            raise _busy("many templates are being rendered at this moment")
        try:
            yield
        finally:
            self._room.release()


def _rendered(outcome: Outcome) -> Rendered:
    rendered = _rendered_or_problem(outcome)
    if isinstance(rendered, Problem):
        raise rendered
    return rendered


def _rendered_or_problem(outcome: Outcome) -> Rendered | Problem:
    if outcome.problem is not None:
        return outcome.problem
    assert outcome.rendered is not None  # noqa: S101 - without a problem there is a message
    return outcome.rendered


def _fault(failure: ChildFailed) -> TemplateFault:
    slow = failure.timed_out or failure.ended_by == signal.SIGXCPU
    return TemplateFault(TOO_LONG if slow else "the template needs too much memory")


def _busy(reason: str) -> Problem:
    detail = f"The template was not rendered: {reason}. Try again in {_RETRY_SECONDS} seconds."
    return Problem("unavailable", detail, headers={"Retry-After": str(_RETRY_SECONDS)})


# A delivery waits for its turn, and a long summary takes its time.
DELIVERIES = Pool(
    "backend.rendering.child", Bounds(children=2, seconds=20.0, patience=threading.TIMEOUT_MAX, waiting=10_000)
)
# Who sends a notification waits for it, and so do all whose notifications are judged together with that.
ADMISSIONS = Pool("backend.rendering.child", Bounds(children=2, running=1.0, seconds=4.0, patience=4.0, waiting=256))
# A preview's caller waits for its answer, which has to come within eight seconds.
PREVIEWS = Pool("backend.rendering.preview_child", Bounds(children=4, seconds=6.0, patience=6.0, waiting=8))
# Rows of spreadsheets are tried out with the time of deliveries, but never instead of them.
TRIALS = Pool(
    "backend.rendering.preview_child", Bounds(children=2, seconds=20.0, patience=threading.TIMEOUT_MAX, waiting=10_000)
)
