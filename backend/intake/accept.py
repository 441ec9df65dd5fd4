"""Accepting notifications: many at once, in one transaction, each judged by itself.

Reading and judging come first and lock nothing; then one short transaction stores what is new. The database's own
uniqueness of the id decides which of two equal notifications is the first. A group neither waits for a template that
takes its time nor stores more than a moment's work: what is left for that comes again in a later group.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from backend.batching import tasks as batching_tasks
from backend.db import session as db
from backend.db.models.notifications import NotificationStatus, Priority
from backend.delivery.tasks import New
from backend.intake import idempotency, lookup, repeats, schema, store, switches
from backend.intake.content import Content, Submission
from backend.intake.entries import Done, Entry, Later, Tried
from backend.intake.joined import Joins
from backend.intake.judge import Plan, Registered, ServiceState, judge
from backend.intake.outcomes import Accepted, Outcome, Refused
from backend.intake.sizes import Portion
from backend.intake.store import Verdict
from backend.lib import metrics
from backend.lib.outages import OUTAGES
from backend.lib.problems import FieldError, Problem
from backend.rendering import acceptance
from backend.rendering.acceptance import Allowance

logger = logging.getLogger(__name__)


# What is said of all that was taken, also of what is buffered for a batch: that, and the rest, is read back.
_TAKEN = NotificationStatus.DISPATCHED.value

Nudge = Callable[[New], None]


def accept_many(submissions: Sequence[Submission], nudge: Nudge) -> list[Outcome]:
    """Judge and store submissions that came together, and wait for all of it; answers come in their order."""
    caller = object()
    entries = [Entry(submission=one, caller=caller) for one in submissions]
    outcomes: dict[int, Outcome] = {}
    left = list(range(len(entries)))
    while left:
        answers = accept_group([entries[place] for place in left], nudge)
        late = []
        for place, answer in zip(left, answers, strict=True):
            if isinstance(answer, Later):
                late.append(place)
                _render_and_wait(entries[place], answer)
            else:
                outcomes[place] = answer
        left = late
    return [outcomes[place] for place in range(len(entries))]


def _render_and_wait(entry: Entry, late: Later) -> None:
    done = {place: Done(job, acceptance.render(job, entry.share)) for place, job in late.jobs.items()}
    entry.done = entry.done | done


def accept_group(entries: Sequence[Entry], nudge: Nudge) -> list[Outcome | Later]:
    """Judge and store a group of submissions; answers come in their order.

    ``nudge`` is called after the commit with what is new to be delivered; batches get timers.
    A submission that breaks the transaction breaks it for itself alone: the others are done again one by one.
    """
    try:
        with metrics.timed("accept", len(entries)):
            return _accept_group(entries, nudge)
    except OUTAGES:
        logger.warning("Notifications could not be stored", exc_info=True)
        return [_unavailable() for _ in entries]
    except Exception:
        if len(entries) == 1:
            logger.exception("A notification could not be judged or stored")
            return [_failed()]
        return [outcome for one in entries for outcome in accept_group([one], nudge)]


def _unavailable() -> Refused:
    problem = Problem(
        "unavailable", "The notification could not be stored just now; nothing was kept.", headers={"Retry-After": "5"}
    )
    return Refused(problem, None)


def _failed() -> Refused:
    detail = "Carillon failed to accept this notification; nothing was kept, and the fault has been logged."
    return Refused(Problem("internal_error", detail), None)


def _accept_group(entries: Sequence[Entry], nudge: Nudge) -> list[Outcome | Later]:
    contents = {entry.read().uid: entry.read() for entry in entries}
    outcomes: dict[UUID, Outcome | Later] = {}
    with db.current().look() as session:
        asked = lookup.ask(session, contents)
        known, named = asked.accepted(), asked.registered()
        known |= _at_present(session, entries, named)
        first = _first(entries)
        fresh = [entry for uid, entry in first.items() if uid not in known]
        if fresh:
            outcomes |= _judge_and_store(session, fresh, asked.services(), named, nudge)
    outcomes |= {uid: Accepted(str(uid), status, duplicate=True) for uid, status in known.items()}
    answers = _hold_to_content(entries, _in_order(entries, outcomes))
    _count_submissions(entries, answers)
    return answers


def _at_present(session: Session, entries: Sequence[Entry], named: Mapping[int, Registered]) -> dict[UUID, str]:
    """Let each entry be the notification that its content is now; return the status of those that were accepted."""
    present = repeats.at_present(session, [entry.read() for entry in entries], named)
    changed = [one.uid for entry, one in zip(entries, present, strict=True) if one.uid != entry.read().uid]
    for entry, one in zip(entries, present, strict=True):
        entry.content = one
    return lookup.accepted(session, changed) if changed else {}


def _first(entries: Sequence[Entry]) -> dict[UUID, Entry]:
    """Return the entry of each notification that is judged, in order of arrival, which batches keep."""
    first: dict[UUID, Entry] = {}
    for entry in entries:
        entry.rounds += 1
        one = entry.read()
        if one.uid not in first or _stands_for(entry, first[one.uid]):
            first[one.uid] = entry
    return first


def _stands_for(entry: Entry, other: Entry) -> bool:
    """Tell which of two equal submissions is judged: not one that is refused unseen, and one that is rendered."""
    refused, other_refused = entry.read().refusal is not None, other.read().refusal is not None
    return other_refused and not refused if refused is not other_refused else bool(entry.done) and not other.done


def _hold_to_content(entries: Sequence[Entry], answers: Sequence[Outcome | Later]) -> list[Outcome | Later]:
    """Refuse what comes with the key of other content."""
    settled = [
        (entry.read(), answer) for entry, answer in zip(entries, answers, strict=True) if not isinstance(answer, Later)
    ]
    held = iter(idempotency.hold_to_content([answer for _, answer in settled], [one for one, _ in settled]))
    return [answer if isinstance(answer, Later) else next(held) for answer in answers]


def _judge_and_store(
    session: Session,
    fresh: Sequence[Entry],
    services: Mapping[int, ServiceState],
    named: Mapping[int, Registered],
    nudge: Nudge,
) -> dict[UUID, Outcome | Later]:
    judged, outcomes = _judged(session, fresh, services, named)
    if judged:
        with db.current().within(session):
            stored = store.store(session, judged, services)
        _wake(stored, nudge)
        for (channel, priority), count in stored.messages.items():
            metrics.messages(channel, priority).inc(count)
        outcomes |= {one.uid: _outcome(one, stored.results[one.uid]) for one, _ in judged}
    return outcomes


def _judged(
    session: Session, fresh: Sequence[Entry], services: Mapping[int, ServiceState], named: Mapping[int, Registered]
) -> tuple[list[tuple[Content, Verdict]], dict[UUID, Outcome | Later]]:
    """Judge what is new; return what is to be stored now, and what becomes of the others."""
    allowance, portion = Allowance(), Portion(fresh)
    joins = Joins(session, allowance)
    judged: list[tuple[Content, Verdict]] = []
    outcomes: dict[UUID, Outcome | Later] = {}
    behind: set[int] = set()
    for entry in fresh:
        one = entry.read()
        refusal = _refusal(one)
        if refusal is not None:
            judged.append((one, refusal))
            continue
        registered, tried = named[one.service_id], Tried(entry.done, allowance)
        if store.priority(one) is Priority.BATCH and id(entry.caller) in behind:
            outcomes[one.uid] = Later()  # batches keep the order of those that came together
        elif not portion.takes(entry, one, registered):
            outcomes[one.uid] = Later()
        else:
            if not registered.whole:
                registered = lookup.registered_alone(session, one)
            verdict = judge(one, services[one.service_id], registered, render=tried.render)
            found = _as_far_as_tried(entry, verdict, tried, joins)
            if isinstance(found, Plan | Problem):
                judged.append((one, found))
                continue
            outcomes[one.uid] = found
        behind.add(id(entry.caller))
    return judged, outcomes


def _as_far_as_tried(entry: Entry, verdict: Verdict, tried: Tried, joins: Joins) -> Verdict | Later | Refused:
    """Return the verdict that stands, or that it comes later; refused is what could not be tried."""
    found: Verdict | Later = verdict
    if tried.left and not _is_unavailable(verdict):
        found = Later(tried.left)
    elif isinstance(verdict, Plan):
        found = joins.check(entry, verdict)
    return Refused(found, None) if isinstance(found, Problem) and _is_unavailable(found) else found


def _is_unavailable(verdict: Verdict | Later) -> bool:
    return isinstance(verdict, Problem) and verdict.entry.status == 503


def _count_submissions(entries: Sequence[Entry], answers: Sequence[Outcome | Later]) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for entry, answer in zip(entries, answers, strict=True):
        if isinstance(answer, Later):
            continue
        one = entry.read()
        priority = store.priority(one).name if one.canonical else "UNKNOWN"
        outcome = "refused" if isinstance(answer, Refused) else "duplicate" if answer.duplicate else "accepted"
        counts[priority, outcome] += 1
    for (priority, outcome), count in counts.items():
        metrics.submissions(priority, outcome).inc(count)


def _refusal(one: Content) -> Problem | None:
    """Say why a submission is not even judged: it was refused as it came, or needs a channel that is switched off."""
    if one.refusal is not None or one.notification is None:
        return one.refusal
    return switches.stopped(one.notification)


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


def _in_order(entries: Sequence[Entry], outcomes: Mapping[UUID, Outcome | Later]) -> list[Outcome | Later]:
    """Answer each submission; of equal ones in one group the first is new and the others repeat it."""
    answers: list[Outcome | Later] = []
    seen: set[UUID] = set()
    for entry in entries:
        one = entry.read()
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
