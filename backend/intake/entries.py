"""Notifications on their way into intake: read once, validated in a group, and rendered outside of it if that is slow.

A group waits for nobody: what cannot be validated in next to no time comes back with what has to be rendered for it,
and joins a later group with that done.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from backend.db.models.accounts import Mode
from backend.db.models.notifications import NotificationStatus
from backend.intake import content
from backend.intake.content import Content, Submission
from backend.lib.fair_pool import Share
from backend.lib.problems import FieldError, Problem
from backend.rendering.acceptance import Allowance, Deferred
from backend.rendering.model import Rendered, RenderJob

# A channel of a notification, and the key of what is rendered for it: of a template version, or of a batch.
JobKey = tuple[int, str]


# What came of a submission.


class Accepted(msgspec.Struct, frozen=True):
    """A stored notification; ``duplicate`` tells that it was there before, ``warnings`` what of it is of no use.

    ``send_at`` is the moment that it asks for, ``mode`` whom it reaches.
    """

    notification_id: str
    status: str
    duplicate: bool
    warnings: tuple[FieldError, ...] = ()
    send_at: datetime | None = None
    mode: Mode = Mode.LIVE


class Refused(msgspec.Struct, frozen=True):
    """Why nothing will be sent; the id is there whenever a notification can be read back by it.

    ``status`` is that notification's: not FAILED where it was accepted before and only this repeat is refused.
    """

    problem: Problem
    notification_id: str | None
    status: str = NotificationStatus.FAILED.value


IntakeResult = Accepted | Refused


class Joint(Deferred, frozen=True, kw_only=True):
    """A batch with one member more, as it stood when that was to be rendered.

    ``batch_id``, ``members`` and ``last_seq`` are the batch's own; ``before`` are those that were to join it first.
    """

    batch_id: int
    members: int
    last_seq: int
    before: tuple[UUID, ...]


Job = RenderJob | Joint


class Done(msgspec.Struct, frozen=True):
    """What came of a job that a notification waited for."""

    job: Job
    result: Rendered | Problem


class Entry(msgspec.Struct, kw_only=True):
    """One submission; ``caller`` is the same for those that came in one request, whose order is kept.

    ``rounds`` counts the groups that it was in. ``done`` is what was rendered for it, by its key.
    """

    submission: Submission
    caller: object
    content: Content | None = None
    done: dict[JobKey, Done] = {}
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
    """A notification that this group does not store: it comes again, once ``jobs`` are rendered, each for its key."""

    jobs: dict[JobKey, Job] = {}


_NOT_YET = Rendered(None, None, "")


class Tried:
    """Renders the channels of one notification as far as that is done, or quick; remembers what is left."""

    def __init__(self, done: dict[JobKey, Done], allowance: Allowance) -> None:
        self.left: dict[JobKey, Job] = {}
        self._done = done
        self._allowance = allowance

    def render(self, index: int, job: RenderJob) -> Rendered:
        """Return the message, or raise its problem; one that is left is empty."""
        job_key = (index, job.key)
        done = self._done.get(job_key)
        result = done.result if done and done.job == job else self._allowance.try_at_once(job)
        if isinstance(result, Problem):
            raise result
        if result is None:
            self.left[job_key] = job
            return _NOT_YET
        return result
