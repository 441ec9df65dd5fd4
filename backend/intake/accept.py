"""Accepting notifications: many at once, in one transaction, each judged by itself.

Reading and judging come first and lock nothing; then one short transaction stores what is new. The database's own
uniqueness of the id decides which of two equal notifications is the first.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from backend.batching import tasks as batching_tasks
from backend.db import session as db
from backend.db.models.notifications import NotificationStatus, Priority
from backend.delivery.tasks import New
from backend.intake import content, idempotency, lookup, schema, store, switches
from backend.intake.content import Content, Submission
from backend.intake.judge import judge
from backend.intake.lookup import Asked
from backend.intake.outcomes import Accepted, Outcome, Refused
from backend.lib import metrics
from backend.lib.outages import OUTAGES
from backend.lib.problems import FieldError, Problem

logger = logging.getLogger(__name__)


# What is said of all that was taken, also of what is buffered for a batch: that, and the rest, is read back.
_TAKEN = NotificationStatus.DISPATCHED.value

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
        # In order of arrival, which batches keep; a repeat that is refused does not stand for one that may be taken.
        if one.uid not in contents or (one.refusal is None and contents[one.uid].refusal is not None):
            contents[one.uid] = one
    outcomes: dict[UUID, Outcome] = {}
    with db.current().look() as session:
        asked = lookup.ask(session, contents)
        known = asked.accepted()
        fresh = [one for uid, one in contents.items() if uid not in known]
        if fresh:
            outcomes |= _judge_and_store(session, fresh, asked, nudge)
    outcomes |= {uid: Accepted(str(uid), status, duplicate=True) for uid, status in known.items()}
    answers = idempotency.hold_to_content(_in_order(read, outcomes), read)
    _count_submissions(read, answers)
    return answers


def _judge_and_store(session: Session, fresh: Sequence[Content], asked: Asked, nudge: Nudge) -> dict[UUID, Outcome]:
    services, registered = asked.services(), asked.registered()
    judged = [(one, _refusal(one) or judge(one, services[one.service_id], registered[one.service_id])) for one in fresh]
    with db.current().within(session):
        stored = store.store(session, judged, services)
    _wake(stored, nudge)
    for (channel, priority), count in stored.messages.items():
        metrics.messages(channel, priority).inc(count)
    return {one.uid: _outcome(one, stored.results[one.uid]) for one in fresh}


def _refusal(one: Content) -> Problem | None:
    """Say why a submission is not even judged: it was refused as it came, or needs a channel that is switched off."""
    if one.refusal is not None or one.notification is None:
        return one.refusal
    return switches.stopped(one.notification)


def _count_submissions(read: Sequence[Content], answers: Sequence[Outcome]) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for one, answer in zip(read, answers, strict=True):
        priority = store.priority(one).name if one.canonical else "UNKNOWN"
        outcome = "refused" if isinstance(answer, Refused) else "duplicate" if answer.duplicate else "accepted"
        counts[priority, outcome] += 1
    for (priority, outcome), count in counts.items():
        metrics.submissions(priority, outcome).inc(count)


def _read(submission: Submission) -> Content:
    try:
        return content.read(submission)
    except Problem as problem:
        return content.unreadable(submission, problem)


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
        return Refused(result, str(one.uid))
    if result == "new":
        return Accepted(str(one.uid), _TAKEN, duplicate=False)
    return Accepted(str(one.uid), result, duplicate=True)


def _warnings(one: Content) -> tuple[FieldError, ...]:
    return schema.warnings(one.notification) if one.notification else ()


def _in_order(read: Sequence[Content], outcomes: dict[UUID, Outcome]) -> list[Outcome]:
    """Answer each submission; of equal ones in one group the first is new and the others repeat it."""
    answers: list[Outcome] = []
    seen: set[object] = set()
    for one in read:
        outcome = outcomes[one.uid]
        if isinstance(outcome, Accepted):
            present = outcome.status if outcome.duplicate else store.first_status(one).value
            if one.refusal is not None:
                outcome = Refused(one.refusal, outcome.notification_id, present)
            else:
                again = outcome.duplicate or one.uid in seen
                status = present if again else outcome.status
                outcome = Accepted(outcome.notification_id, status, again, _warnings(one))
                seen.add(one.uid)
        answers.append(outcome)
    return answers
