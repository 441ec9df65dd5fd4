"""Rendering in child processes, so that no template can eat the process that asks, and no service the children.

A template that takes too long, or too much memory, costs its child; the other jobs of the same call go to the next
one. Services share the children by the time that their templates take. Previews have children of their own: what
people try out keeps no message waiting.
"""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from math import ceil
from typing import TypeVar

import msgspec

from backend.lib.child import ChildFailed, Children
from backend.lib.fair_pool import Busy, FairPool, Limits, Overspent, Share, Watch
from backend.lib.problems import Problem
from backend.rendering import model, reachability
from backend.rendering.faults import TemplateFault
from backend.rendering.limits import SECONDS, TOO_LONG, plain
from backend.rendering.model import Outcome, Rendered, RenderJob, Source, Task, TemplateWarning

Answer = TypeVar("Answer")
_START_SECONDS = 20.0
_RETRY_SECONDS = 5
# So much of one service's work is done before others have their turn, and so many messages where the time is unknown.
_SLICE_SECONDS = 0.25
_FIRST_SLICE = 1
_MOST_AT_ONCE = 200


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How many children there are, and what one job may take.

    ``running`` seconds of work for the template, ``seconds`` by the clock for all of it. At most ``waiting`` jobs of
    one service wait, and ``capacity`` of all services, each for ``patience`` seconds; the next is told to come again.
    With ``spare`` one child more than are at work is kept ready.
    """

    children: int
    running: float = SECONDS
    seconds: float
    patience: float
    waiting: int
    capacity: int
    spare: bool = False


class Pool:
    """Children that render; safe for many threads, and started when they are first needed."""

    def __init__(self, module: str, bounds: Bounds) -> None:
        self._bounds = bounds
        self._children = Children(module, bounds.children, spare=bounds.spare)
        limits = Limits(
            threads=bounds.children, waiting=bounds.waiting, capacity=bounds.capacity, patience=bounds.patience
        )
        self._threads = FairPool(module.rpartition(".")[2], limits)

    def render(self, job: RenderJob, share: Share) -> Rendered:
        """Render one message; raises Problem ``template_arguments`` with the line and the reason.

        Raises:
            Problem: ``render_share_exceeded`` if the service renders too much, ``unavailable`` if all together do.
        """
        return _rendered(self._done([Task("render", job)], share)[0])

    @property
    def patience(self) -> float:
        """Return for how many seconds a job may wait."""
        return self._bounds.patience

    def begin(self, share: Share, first: Callable[[], RenderJob | Rendered | Problem]) -> "Future[Rendered | Problem]":
        """Render one message without waiting for it; ``first`` spares the child the work, or says what it is.

        Raises:
            Problem: as ``render``.
        """

        def work(watch: Watch) -> Rendered | Problem:
            made = first()
            watch.keep()
            if not isinstance(made, RenderJob):
                return made
            return _rendered_or_problem(self._worked([Task("render", made)], watch)[0])

        return self._taken(lambda: self._threads.submit(share, work))

    def too_long(self, share: Share) -> Problem:
        """Say why a message that was begun still waits."""
        return _problem(self._threads.too_long(share))

    def render_many(self, jobs: Sequence[RenderJob], share: Share) -> list[Rendered | Problem]:
        """Render messages, a few at a time; each result is the message, or the problem of that job alone."""
        done: list[Rendered | Problem] = []
        while len(done) < len(jobs):
            some = jobs[len(done) : len(done) + (self._slice(share) or 1)]
            done += map(_rendered_or_problem, self._done([Task("render", job) for job in some], share))
        return done

    def render_some(
        self, jobs: Sequence[RenderJob], share: Share, seconds: float, *, one_at_least: bool
    ) -> list[Rendered | Problem]:
        """Render the first of the messages, as many as fit into so many seconds; none where slow ones have no child.

        With ``one_at_least`` the first is waited for.
        """
        end = time.monotonic() + seconds
        done: list[Rendered | Problem] = []
        while len(done) < len(jobs) and (not done or time.monotonic() < end):
            needed = one_at_least and not done
            size = self._slice(share) or int(needed)
            if not size:
                break
            tasks = [Task("render", job) for job in jobs[len(done) : len(done) + size]]
            outcomes = self._done(tasks, share) if needed else self._done_unless_in_vain(tasks, share)
            if not outcomes:
                break
            done += map(_rendered_or_problem, outcomes)
        return done

    def _slice(self, share: Share) -> int:
        known = self._threads.is_known(share)
        return self._threads.affordable(share, _MOST_AT_ONCE, _SLICE_SECONDS) if known else _FIRST_SLICE

    def affordable(self, share: Share, most: int, seconds: float) -> int:
        """Return how many jobs of a service fit into so many seconds: none while slow ones have all their children."""
        return self._threads.affordable(share, most, seconds)

    def is_slow(self, share: Share) -> bool:
        """Tell whether a service's templates have been slow of late."""
        return self._threads.is_slow(share)

    def check(
        self, source: Source, sample_fields: object | None, share: Share, *, batch: bool = False
    ) -> list[TemplateWarning]:
        """Check a template before it is published, as the engine does; raises Problem ``invalid_template``."""
        outcome = self._done([Task("check", RenderJob("", source, sample_fields, batch))], share)[0]
        if outcome.problem is not None:
            raise outcome.problem
        return _with_links(outcome.warnings, source, sample_fields)

    def preview(self, job: RenderJob, share: Share) -> tuple[Rendered | Problem, list[TemplateWarning]]:
        """Render a text that is being edited, as the engine does."""
        outcome = self._done([Task("preview", job)], share)[0]
        return _rendered_or_problem(outcome), _with_links(outcome.warnings, job.source, job.fields)

    def close(self) -> None:
        """End the children that are not at work."""
        self._children.close()

    def _done(self, tasks: Sequence[Task], share: Share) -> list[Outcome]:
        def work(watch: Watch) -> list[Outcome]:
            return self._worked(tasks, watch)

        return self._taken(lambda: self._threads.run(share, work, parts=len(tasks)))

    def _done_unless_in_vain(self, tasks: Sequence[Task], share: Share) -> list[Outcome]:
        """Do all tasks, or none where they would wait for slow ones: what asks is needed for others meanwhile."""
        try:
            return self._threads.run(share, lambda watch: self._worked(tasks, watch), parts=len(tasks), in_vain=False)
        except (Overspent, Busy):
            return []

    def _taken(self, ask: Callable[[], Answer]) -> Answer:
        try:
            return ask()
        except (Overspent, Busy) as refusal:
            raise _problem(refusal) from None

    def _worked(self, tasks: Sequence[Task], watch: Watch) -> list[Outcome]:
        """Do all tasks; one that ends its child is refused, and the others go to the next child."""
        done: list[Outcome] = []
        suspect = False
        while len(done) < len(tasks):
            try:
                # One that has ended a child is tried once more alone: the child may have been used up before.
                left = tasks[len(done) : len(done) + 1] if suspect else tasks[len(done) :]
                done += self._asked(left, watch)
                suspect = False
            except OSError:
                raise _no_process() from None
            except ChildFailed as failure:
                done += [model.decoded(answer) for answer in failure.answers[1:]]
                alone = suspect and not failure.answers[1:]
                if failure.unheard:
                    raise _no_process() from None
                suspect = not (failure.timed_out or failure.ended_by == signal.SIGXCPU or alone)
                if not suspect:
                    done.append(model.refused(_fault(failure).problem(model.CODES[tasks[len(done)].deed])))
        return done

    def _asked(self, tasks: Sequence[Task], watch: Watch) -> list[Outcome]:
        try:
            questions = model.questions(tasks, self._bounds.running)
        except model.Unsendable:
            return [self._made_plain(task, watch) for task in tasks]
        # The first answer says that the child is there; its start is on nobody's account.
        answers = self._children.ask_all(
            questions, self._bounds.seconds, start_seconds=_START_SECONDS, heard=watch.restart
        )
        return [model.decoded(answer) for answer in answers[1:]]

    def _made_plain(self, task: Task, watch: Watch) -> Outcome:
        """Do a task, one of a call in which some have fields that are no plain data."""
        try:
            job = msgspec.structs.replace(task.job, fields=plain(task.job.fields))
        except TemplateFault as fault:
            return model.refused(fault.problem(model.CODES[task.deed]))
        return self._asked([msgspec.structs.replace(task, job=job)], watch)[0]


def _with_links(warnings: list[TemplateWarning], source: Source, fields: object) -> list[TemplateWarning]:
    """Add what the settings let be said of links: no child process knows the settings."""
    found = reachability.unreachable(source, fields, reachability.policy())
    return sorted([*warnings, *found], key=lambda one: (one.line or 0, one.code)) if found else warnings


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


def _no_process() -> Problem:
    reason = "no process could be started for it"
    detail = f"The template was not rendered: {reason}. Try again in {_RETRY_SECONDS} seconds."
    return Problem("unavailable", detail, headers={"Retry-After": str(_RETRY_SECONDS)})


def _problem(refusal: Exception) -> Problem:
    """Say in a sentence why a template is not rendered now."""
    if isinstance(refusal, Overspent):
        seconds = max(1, ceil(refusal.seconds))
        # Of a share that is new nothing is known yet, and what is shown must not round to nothing.
        each = f" ({refusal.each:.2f} seconds each)" if refusal.each >= 0.01 else ""
        detail = (
            f"This service has asked for more templates to be rendered{each} than its share of the time allows; the"
            f" next can be rendered in about {seconds} second{'' if seconds == 1 else 's'}."
        )
        return Problem("render_share_exceeded", detail, headers={"Retry-After": str(seconds)})
    detail = (
        "The template was not rendered: many templates are being rendered at this moment."
        f" Try again in {_RETRY_SECONDS} seconds."
    )
    return Problem("unavailable", detail, headers={"Retry-After": str(_RETRY_SECONDS)})


# A delivery waits for its turn, and a long summary takes its time.
DELIVERIES = Pool(
    "backend.rendering.child",
    Bounds(children=4, seconds=20.0, patience=threading.TIMEOUT_MAX, waiting=10_000, capacity=100_000, spare=True),
)
# A client system waits for the answer to what it sends, so what has to be rendered first may not wait for long.
ACCEPTANCE = Pool(
    "backend.rendering.preview_child",
    Bounds(children=4, running=1.0, seconds=8.0, patience=3.0, waiting=400, capacity=4_000, spare=True),
)
# A preview's caller waits for its answer, which has to come within eight seconds, and in one of few threads.
PREVIEWS = Pool(
    "backend.rendering.preview_child", Bounds(children=4, seconds=6.0, patience=6.0, waiting=8, capacity=16)
)
# Rows of spreadsheets are tried out with the time of deliveries, but never instead of them.
TRIALS = Pool(
    "backend.rendering.preview_child",
    Bounds(children=2, seconds=20.0, patience=2.0, waiting=2, capacity=8),
)
