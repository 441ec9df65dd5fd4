"""Accepting notifications: many at once, in one transaction, each judged by itself.

Reading and judging come first and lock nothing; then one short transaction stores what is new. The database's own
uniqueness of the id decides which of two equal notifications is the first.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

import msgspec
from sqlalchemy.orm import Session

from backend.batching import tasks as batching_tasks
from backend.db import session as db
from backend.db.models.notifications import Priority
from backend.delivery.tasks import New
from backend.intake import content, joined, lookup, store, switches
from backend.intake.content import Content, Submission
from backend.intake.judge import judge
from backend.intake.lookup import Asked
from backend.lib import metrics
from backend.lib.outages import OUTAGES
from backend.lib.problems import Problem

logger = logging.getLogger(__name__)


class Accepted(msgspec.Struct, frozen=True):
    """A stored notification; ``duplicate`` tells that it was there before."""

    notification_id: str
    status: str
    duplicate: bool


class Refused(msgspec.Struct, frozen=True):
    """Why nothing will be sent; the id is there whenever a notification can be read back by it."""

    problem: Problem
    notification_id: str | None


Outcome = Accepted | Refused
Nudge = Callable[[New], None]


def accept_many(submissions: Sequence[Submission], nudge: Nudge) -> list[Outcome]:
    """Judge and store a group of submissions; answers come in their order.

    ``nudge`` is called after the commit with what is new to be delivered; batches get timers.
    A submission that breaks the transaction breaks it for itself alone: the others are done again one by one.
    """
    try:
        with metrics.timed("accept", len(submissions)):
            return _accept_group(submissions, nudge)
    except OUTAGES:
        logger.warning("Notifications could not be stored", exc_info=True)
        return [_unavailable() for _ in submissions]
    except Exception:
        if len(submissions) == 1:
            logger.exception("A notification could not be judged or stored")
            return [_failed()]
        return [outcome for one in submissions for outcome in accept_many([one], nudge)]


def _unavailable() -> Refused:
    problem = Problem(
        "unavailable", "The notification could not be stored just now; nothing was kept.", headers={"Retry-After": "5"}
    )
    return Refused(problem, None)


def _failed() -> Refused:
    detail = "Carillon failed to accept this notification; nothing was kept, and the fault has been logged."
    return Refused(Problem("internal_error", detail), None)


def _accept_group(submissions: Sequence[Submission], nudge: Nudge) -> list[Outcome]:
    read = [_read(submission) for submission in submissions]
    contents: dict[UUID, Content] = {}
    for one in read:
        if isinstance(one, Content):
            contents.setdefault(one.uid, one)  # in order of arrival, which batches keep
    outcomes: dict[UUID, Outcome] = {}
    with db.current().look() as session:
        asked = lookup.ask(session, contents)
        known = asked.accepted()
        off = _switched_off(one for uid, one in contents.items() if uid not in known)
        fresh = [one for uid, one in contents.items() if uid not in known and uid not in off]
        if fresh:
            outcomes |= _judge_and_store(session, fresh, asked, nudge)
    outcomes |= {uid: Accepted(str(uid), status, duplicate=True) for uid, status in known.items()}
    outcomes |= {uid: Refused(problem, None) for uid, problem in off.items()}
    answers = _in_order(read, outcomes)
    _count_submissions(read, answers)
    return answers


def _judge_and_store(session: Session, fresh: Sequence[Content], asked: Asked, nudge: Nudge) -> dict[UUID, Outcome]:
    services, registered = asked.services(), asked.registered()
    judged = [(one, judge(one, services[one.service_id], registered[one.service_id])) for one in fresh]
    judged = joined.check(session, judged)
    with db.current().within(session):
        stored = store.store(session, judged, services)
    _wake(stored, nudge)
    for (channel, priority), count in stored.messages.items():
        metrics.messages(channel, priority).inc(count)
    return {one.uid: _outcome(one, stored.results[one.uid]) for one in fresh}


def _count_submissions(read: Sequence[Content | Refused], answers: Sequence[Outcome]) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for one, answer in zip(read, answers, strict=True):
        priority = store.priority(one).name if isinstance(one, Content) else "UNKNOWN"
        outcome = "refused" if isinstance(answer, Refused) else "duplicate" if answer.duplicate else "accepted"
        counts[priority, outcome] += 1
    for (priority, outcome), count in counts.items():
        metrics.submissions(priority, outcome).inc(count)


def _read(submission: Submission) -> Content | Refused:
    try:
        return content.read(submission)
    except Problem as problem:
        return Refused(problem, None)


def _switched_off(contents: Iterable[Content]) -> dict[UUID, Problem]:
    """Find what needs a channel that is switched off: it is not judged, and leaves no trace that it failed."""
    stopped = {one.uid: switches.stopped(one.notification) for one in contents if one.notification}
    return {uid: problem for uid, problem in stopped.items() if problem is not None}


def _wake(stored: store.Stored, nudge: Nudge) -> None:
    """Wake the workers for what can be delivered now, and set the timers of batches."""
    new: dict[int, set[str]] = {}
    for channel, priority in stored.messages:
        if priority != Priority.BATCH.name:
            new.setdefault(Priority[priority].value, set()).add(channel)
    if new:
        nudge(new)
    batching_tasks.arm(stored.moments)


def _outcome(one: Content, result: store.Result) -> Outcome:
    if isinstance(result, Problem):
        # One that only the day's limit turned away was not judged to be wrong: it left no trace to be read back.
        kept = result.code != "daily_limit_reached"
        return Refused(result, str(one.uid) if kept else None)
    if result == "new":
        return Accepted(str(one.uid), store.first_status(one).value, duplicate=False)
    return Accepted(str(one.uid), result, duplicate=True)


def _in_order(read: Sequence[Content | Refused], outcomes: dict[UUID, Outcome]) -> list[Outcome]:
    """Answer each submission; of equal ones in one group the first is new and the others repeat it."""
    answers: list[Outcome] = []
    seen: set[object] = set()
    for one in read:
        if isinstance(one, Refused):
            answers.append(one)
            continue
        outcome = outcomes[one.uid]
        if one.uid in seen and isinstance(outcome, Accepted):
            outcome = msgspec.structs.replace(outcome, duplicate=True)
        seen.add(one.uid)
        answers.append(outcome)
    return answers
