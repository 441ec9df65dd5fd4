"""Notifications on their way into intake: read once, judged in a group, and rendered outside of it if that is slow.

A group waits for nobody: what cannot be judged in next to no time comes back with what has to be rendered for it,
and joins a later group with that done.
"""

import msgspec

from backend.intake import content
from backend.intake.content import Content, Submission
from backend.lib.fair import Share
from backend.lib.problems import Problem
from backend.rendering.acceptance import Allowance
from backend.rendering.model import Rendered, RenderJob


class Done(msgspec.Struct, frozen=True):
    """What came of rendering one channel with the template version that ``key`` names."""

    key: str
    result: Rendered | Problem


class Entry(msgspec.Struct, kw_only=True):
    """One submission; ``caller`` is the same for those that came in one request, whose order is kept.

    ``rounds`` counts the groups that it was in. ``done`` is what was rendered for it, by the place of the channel.
    """

    submission: Submission
    caller: object
    content: Content | None = None
    done: dict[int, Done] = {}
    rounds: int = 0

    def read(self) -> Content:
        """Return what the submission says; what cannot be read has an identity by which it is read back as refused."""
        if self.content is None:
            try:
                self.content = content.read(self.submission)
            except Problem as problem:
                self.content = content.unreadable(self.submission, problem)
        return self.content

    @property
    def share(self) -> Share:
        """Return on whose account it is rendered."""
        found = self.content.notification if self.content else None
        return Share(self.submission.service_id, urgent=found is not None and found.priority == "HIGH")


class Later(msgspec.Struct, frozen=True):
    """A notification that this group does not store: it comes again, once ``jobs`` are rendered, each for a channel."""

    jobs: dict[int, RenderJob] = {}


_NOT_YET = Rendered(None, None, "")


class Tried:
    """Renders the channels of one notification as far as that is done, or quick; remembers what is left."""

    def __init__(self, done: dict[int, Done], allowance: Allowance) -> None:
        self.left: dict[int, RenderJob] = {}
        self._done = done
        self._allowance = allowance

    def render(self, index: int, job: RenderJob) -> Rendered:
        """Return the message, or raise its problem; one that is left is empty."""
        done = self._done.get(index)
        result = done.result if done and done.key == job.key else self._allowance.try_at_once(job)
        if isinstance(result, Problem):
            raise result
        if result is None:
            self.left[index] = job
            return _NOT_YET
        return result
