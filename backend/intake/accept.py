"""Accepting notifications: many at once, in one transaction, each validated by itself.

Reading and validation come first and lock nothing; then one short transaction stores what is new. The database's own
uniqueness of the id decides which of two equal notifications is the first. A group neither waits for a template that
takes its time nor stores more than a moment's work: what is left for that comes again in a later group.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, partial
from uuid import UUID

from sqlalchemy.orm import Session

from backend.accounts import reach
from backend.batching import tasks as batching_tasks
from backend.db import database as db
from backend.db.models.notifications import NotificationStatus, Priority
from backend.delivery.tasks import New
from backend.intake import equal_messages, lookup, modes, obligations, quotas, repeats, schema, store, writer
from backend.intake.content import Content, Submission
from backend.intake.entries import Accepted, Done, Entry, IntakeResult, Later, Refused, Tried
from backend.intake.joined import Joins
from backend.intake.store import Validation
from backend.intake.validate import Plan, Registered, ServiceState, endpoints, missed, validate
from backend.lib import clock, metrics
from backend.lib.outages import OUTAGES
from backend.lib.problems import FieldError, Problem
from backend.rendering import acceptance
from backend.rendering.acceptance import Allowance

# Rows of one transaction: some thirty milliseconds of work.
_ROWS = 1_000
# To join a batch takes as long as to store so many deliveries.
_ROWS_OF_A_MEMBERSHIP = 20
# To store so many octets of files takes as long as to store a delivery.
_BYTES_OF_A_ROW = 4096
logger = logging.getLogger(__name__)
# What is said of all that was taken, also of what is buffered for a batch: that, and the rest, is read back.
_TAKEN = NotificationStatus.DISPATCHED.value
Wake = Callable[[New], None]


# How much one group stores, so that nobody waits long for what others store.


class Portion:
    """What one group stores: small notifications up to a number of rows, and one large one.

    A large one does not make a group wait that has something urgent, unless it has waited itself.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._left = _ROWS
        self._has_large = False
        self._urgent = any(entry.share.urgent for entry in entries)

    def takes(self, entry: Entry, content: Content, registered: Registered) -> bool:
        """Tell whether a notification may be stored in this group, before it is validated."""
        rows = _rows(content, registered) + sum(map(len, content.attached.files.values())) // _BYTES_OF_A_ROW
        if rows > _ROWS:
            if self._has_large or (self._urgent and not entry.share.urgent and entry.rounds == 1):
                return False
            self._has_large = True
            return True
        self._left -= rows
        return self._left >= 0


def _rows(content: Content, registered: Registered) -> int:
    if content.notification is None:
        return 1
    if content.priority is Priority.BATCH:
        return sum(len(channel.recipient) for channel in content.every_channel) * _ROWS_OF_A_MEMBERSHIP
    return max(1, endpoints(content, registered)) if registered.whole else _ROWS + 1


def accept_many(submissions: Sequence[Submission], wake: Wake) -> list[IntakeResult]:
    """Validate and store submissions that came together, and wait for all of it; answers come in their order."""
    caller = object()
    entries = [Entry(submission=one, caller=caller) for one in submissions]
    outcomes: dict[int, IntakeResult] = {}
    left = list(range(len(entries)))
    while left:
        answers = accept_group([entries[position] for position in left], wake)
        late = []
        for position, answer in zip(left, answers, strict=True):
            if isinstance(answer, Later):
                late.append(position)
                _render_and_wait(entries[position], answer)
            else:
                outcomes[position] = answer
        left = late
    return [outcomes[position] for position in range(len(entries))]


def _render_and_wait(entry: Entry, late: Later) -> None:
    done = {position: Done(job, acceptance.render(job, entry.share)) for position, job in late.jobs.items()}
    entry.done = entry.done | done


def accept_group(entries: Sequence[Entry], wake: Wake) -> list[IntakeResult | Later]:
    """Validate and store a group of submissions; answers come in their order.

    ``wake`` is called after the commit with what is new to be delivered; batches get timers.
    A submission that breaks the transaction breaks it for itself alone: the others are done again one by one.
    """
    try:
        with metrics.timed("accept", len(entries)):
            return _accept_group(entries, wake)
    except OUTAGES:
        logger.warning("Notifications could not be stored", exc_info=True)
        return [_unavailable() for _ in entries]
    except Exception:
        if len(entries) == 1:
            logger.exception("A notification could not be validated or stored")
            return [_failed()]
        return [outcome for one in entries for outcome in accept_group([one], wake)]


def _unavailable() -> Refused:
    problem = Problem(
        "unavailable", "The notification could not be stored just now; nothing was kept.", headers={"Retry-After": "5"}
    )
    return Refused(problem, None)


def _failed() -> Refused:
    detail = "Carillon failed to accept this notification; nothing was kept, and the fault has been logged."
    return Refused(Problem("internal_error", detail), None)


def _accept_group(entries: Sequence[Entry], wake: Wake) -> list[IntakeResult | Later]:
    outcomes: dict[UUID, IntakeResult | Later] = {}
    with db.current().autocommit() as session:
        obligations.follow(session, entries)
        contents = {one.uid: one for one in [entry.read() for entry in entries]}
        asked = lookup.ask(session, contents)
        known, named, services = asked.accepted(), asked.registered(), asked.services()
        for entry in entries:
            entry.content = lookup.held(entry.read(), services[entry.submission.service_id])
        known |= _at_present(session, entries, named)
        first = _first(entries)
        fresh = [entry for uid, entry in first.items() if uid not in known]
        if fresh:
            outcomes |= _validate_and_store(session, fresh, services, named, wake)
    outcomes |= {uid: Accepted(str(uid), status, duplicate=True) for uid, status in known.items()}
    answers = _check_keys(entries, _in_order(entries, outcomes))
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
    """Return the entry of each notification that is validated, in order of arrival, which batches keep."""
    first: dict[UUID, Entry] = {}
    for entry in entries:
        entry.rounds += 1
        one = entry.read()
        if one.uid not in first or _stands_for(entry, first[one.uid]):
            first[one.uid] = entry
    return first


def _stands_for(entry: Entry, other: Entry) -> bool:
    """Tell which of two equal submissions is validated: not one that is refused unseen, and one that is rendered."""
    refused, other_refused = entry.read().refusal is not None, other.read().refusal is not None
    return other_refused and not refused if refused is not other_refused else bool(entry.done) and not other.done


def _check_keys(entries: Sequence[Entry], answers: Sequence[IntakeResult | Later]) -> list[IntakeResult | Later]:
    """Refuse what comes with the key of other content."""
    resolved = [
        (entry.read(), answer) for entry, answer in zip(entries, answers, strict=True) if not isinstance(answer, Later)
    ]
    held = iter(repeats.check_against_content([answer for _, answer in resolved], [one for one, _ in resolved]))
    return [answer if isinstance(answer, Later) else next(held) for answer in answers]


def _validate_and_store(
    session: Session,
    fresh: Sequence[Entry],
    services: Mapping[int, ServiceState],
    named: Mapping[int, Registered],
    wake: Wake,
) -> dict[UUID, IntakeResult | Later]:
    validated, outcomes = _validated(session, fresh, services, named)
    if validated:
        with db.current().committing(session):
            stored = store.store(session, validated, services)
        _wake(stored, wake)
        for (channel, priority), count in (stored.messages - stored.tests).items():
            metrics.messages(channel, priority).inc(count)
        now = clock.now()
        outcomes |= {
            one.uid: _outcome(one, stored.results[one.uid], validation, now) if one.uid in stored.results else Later()
            for one, validation in validated
        }
    return outcomes


def _validated(
    session: Session, fresh: Sequence[Entry], services: Mapping[int, ServiceState], named: Mapping[int, Registered]
) -> tuple[list[tuple[Content, Validation]], dict[UUID, IntakeResult | Later]]:
    """Validate what is new; return what is to be stored now, and what becomes of the others."""
    validator, portion = _Validator(session, services), Portion(fresh)
    validated: list[tuple[Content, Validation]] = []
    outcomes: dict[UUID, IntakeResult | Later] = {}
    behind: set[int] = set()
    for entry in fresh:
        one = entry.read()
        refusal = _refusal(one)
        if refusal is not None:
            validated.append((one, refusal))
            continue
        registered = named[one.service_id]
        if one.priority is Priority.BATCH and id(entry.caller) in behind:
            outcomes[one.uid] = Later()  # batches keep the order of those that came together
        elif not portion.takes(entry, one, registered):
            outcomes[one.uid] = Later()
        else:
            if not registered.whole:
                registered = lookup.registered_alone(session, one)
            found = validator.whole(entry, registered)
            if isinstance(found, Plan | Problem):
                validated.append((entry.read(), found))
                continue
            outcomes[one.uid] = found
        behind.add(id(entry.caller))
    return validated, outcomes


class _Validator:
    """Validates the notifications of one group by all that they are held to."""

    def __init__(self, session: Session, services: Mapping[int, ServiceState]) -> None:
        self._session = session
        self._services = services
        self._allowance = Allowance()
        self._joins = Joins(session, self._allowance)
        self._team = cache(partial(reach.of_team, session))
        self._now = clock.now()

    def whole(self, entry: Entry, registered: Registered) -> Validation | Later | Refused:
        """Return the validation of a notification, which may have become what joins a digest, or that it comes later.

        Refused is what could not be tried.
        """
        one = entry.read()
        service = self._services[one.service_id]
        if not service.rules:
            return self._validated(entry, registered)
        entry.content, registered = quotas.digested(self._session, one, service, registered, self._now)
        found = self._validated(entry, registered)
        if isinstance(found, Plan):
            other = equal_messages.instead(self._session, entry.read(), found, service, registered)
            if isinstance(other, Problem):
                return other
            if other is not None:
                entry.content, registered = other
                found = self._validated(entry, registered)
        if isinstance(found, Plan) and not entry.read().is_scheduled(self._now):
            return writer.held(self._session, entry.read(), found, service, self._now)
        return found

    def _validated(self, entry: Entry, registered: Registered) -> Validation | Later | Refused:
        one, tried = entry.read(), Tried(entry.done, self._allowance)
        service, team = self._services[one.service_id], partial(self._team, one.service_id)
        texts = equal_messages.are_asked_for(self._session, one, service)
        validation = validate(one, service, registered, render=tried.render, reach=team, texts=texts)
        return _as_far_as_tried(entry, validation, tried, self._joins, self._now)


def _as_far_as_tried(
    entry: Entry, validation: Validation, tried: Tried, joins: Joins, now: datetime
) -> Validation | Later | Refused:
    """Return the validation that stands, or that it comes later; refused is what could not be tried."""
    found: Validation | Later = validation
    if tried.left and not _is_unavailable(validation):
        found = Later(tried.left)
    elif isinstance(validation, Plan) and not entry.read().is_scheduled(now):
        found = joins.check(entry, validation)
    return Refused(found, None) if isinstance(found, Problem) and _is_unavailable(found) else found


def _is_unavailable(validation: Validation | Later) -> bool:
    return isinstance(validation, Problem) and validation.entry.status == 503


def _count_submissions(entries: Sequence[Entry], answers: Sequence[IntakeResult | Later]) -> None:
    counts: Counter[tuple[str, str]] = Counter()
    for entry, answer in zip(entries, answers, strict=True):
        if isinstance(answer, Later):
            continue
        one = entry.read()
        priority = one.priority.name if one.canonical else "UNKNOWN"
        outcome = "refused" if isinstance(answer, Refused) else "duplicate" if answer.duplicate else "accepted"
        counts[priority, outcome] += 1
    for (priority, outcome), count in counts.items():
        metrics.submissions(priority, outcome).inc(count)


def _refusal(one: Content) -> Problem | None:
    """Say why a submission is not validated: it was refused as it came, or needs a channel that is switched off."""
    if one.refusal is not None or one.notification is None:
        return one.refusal
    return modes.stopped(one)


def _wake(stored: store.Stored, wake: Wake) -> None:
    """Wake the workers for what can be delivered now, and set the timers of batches."""
    new: dict[int, set[str]] = {}
    for channel, priority in stored.messages:
        if priority != Priority.BATCH.name:
            new.setdefault(Priority[priority].value, set()).add(channel)
    if new:
        wake(new)
    batching_tasks.arm(stored.moments)


def _outcome(one: Content, result: store.StoreResult, validation: Validation, now: datetime) -> IntakeResult:
    if isinstance(result, Problem):
        return Refused(result, str(one.uid))
    if result == "new":
        plan = validation if isinstance(validation, Plan) else Plan([])
        waits = one.is_scheduled(now) or plan.wait is not None
        status = NotificationStatus.SCHEDULED.value if waits else _TAKEN
        warned = [*missed(plan, one), *writer.warnings(plan)]
        if one.throttled is not None:
            warned.append(FieldError("/channels", one.throttled.code, store.joins_digest(one.throttled.detail)))
        return Accepted(str(one.uid), status, duplicate=False, warnings=tuple(warned))
    return Accepted(str(one.uid), result, duplicate=True)


def _warnings(one: Content, *, new: bool) -> tuple[FieldError, ...]:
    return schema.warnings(one.notification, new=new) if one.notification else ()


def _in_order(entries: Sequence[Entry], outcomes: Mapping[UUID, IntakeResult | Later]) -> list[IntakeResult | Later]:
    """Answer each submission; of equal ones in one group the first is new and the others repeat it."""
    answers: list[IntakeResult | Later] = []
    seen: set[UUID] = set()
    now = clock.now()
    for entry in entries:
        one = entry.read()
        outcome = outcomes[one.uid]
        if isinstance(outcome, Accepted):
            present = outcome.status if outcome.duplicate else store.first_status(one, now).value
            if one.refusal is not None:
                outcome = Refused(one.refusal, outcome.notification_id, present)
            else:
                again = outcome.duplicate or one.uid in seen
                status = present if again else outcome.status
                warned = (*_warnings(one, new=not again), *(() if again else outcome.warnings))
                outcome = Accepted(outcome.notification_id, status, again, warned, one.moment, one.manner.mode)
                seen.add(one.uid)
        answers.append(outcome)
    return answers
