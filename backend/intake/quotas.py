"""How much may be sent: the daily limit of a service, and its throttles."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import cast
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.orm import Session

from backend.db.driver import Insert, Select
from backend.db.models.accounts import Mode
from backend.db.models.notifications import Usage, UsageOfTests
from backend.intake.content import Content
from backend.intake.excess import Excess, into_digest
from backend.intake.validate import Plan, Registered, ServiceState
from backend.lib import clock
from backend.lib.problems import FieldError, Problem
from backend.registry import sending, throttles
from backend.registry.sending import Rules
from backend.registry.throttles import Allowance, Counts, Over

_LOCK = Select("SELECT id FROM services WHERE id IN ({}) ORDER BY id FOR NO KEY UPDATE")
_USED = Select("SELECT service_id, SUM(count) FROM usage WHERE service_id IN ({}) AND day = ? GROUP BY service_id")
_TESTED = Select(
    "SELECT service_id, SUM(count) FROM test_usage WHERE service_id IN ({}) AND day = ? GROUP BY service_id"
)
_COLUMNS = ("service_id", "day", "channel", "count")
_ADD = Insert(
    cast("Table", Usage.__table__),
    _COLUMNS,
    "ON CONFLICT (service_id, day, channel) DO UPDATE SET count = usage.count + excluded.count",
)
_ADD_TESTED = Insert(
    cast("Table", UsageOfTests.__table__),
    _COLUMNS,
    "ON CONFLICT (service_id, day, channel) DO UPDATE SET count = test_usage.count + excluded.count",
)
# The aggregator_id of what joins a digest for being one too many, where it has none of its own.
AGGREGATOR = "throttled"


# Counting what each service was accepted a day, and holding it to its limit.


def add(session: Session, counts: Mapping[tuple[int, date, str], int]) -> None:
    """Count more messages of services, given with the day and the channel type; they are held to no limit."""
    _ADD.send(session, _rows(counts))


def _rows(counts: Mapping[tuple[int, date, str], int]) -> list[dict[str, object]]:
    return [
        {"service_id": service, "day": day, "channel": channel, "count": count}
        for (service, day, channel), count in sorted(counts.items())
    ]


class Meter:
    """What one transaction adds to the usage of its services, checked against what is there.

    ``moment`` is when everything in the transaction is accepted, so that its rows are of the day that is counted.
    The services' rows are locked first (on PostgreSQL; SQLite has one writer anyway), so that the limit is exact
    however many processes accept at once. What is sent in the mode ``test`` counts apart, against the same number.
    """

    def __init__(self, session: Session, limits: Mapping[int, int]) -> None:
        self._session = session
        self._limits = limits
        self.moment = clock.now()
        self._day = self.moment.date()
        self._added: Counter[tuple[int, str]] = Counter()
        self._added_tests: Counter[tuple[int, str]] = Counter()
        self._tested: Counter[int] | None = None
        if session.get_bind().dialect.name != "sqlite":
            _LOCK.send(session, limits)
        used = _USED.rows(session, limits, self._day)
        self._used: Counter[int] = Counter({service: int(count) for service, count in used})

    def admit(self, service_id: int, messages: Mapping[str, int], mode: Mode = Mode.LIVE) -> Problem | None:
        """Count messages by channel type if they fit under the day's limit; else say why not."""
        test = mode is Mode.TEST
        used, added = (self._of_tests(), self._added_tests) if test else (self._used, self._added)
        wanted, limit = sum(messages.values()), self._limits[service_id]
        if used[service_id] + wanted > limit:
            return _refusal(limit, used[service_id], wanted)
        used[service_id] += wanted
        for channel, count in messages.items():
            added[service_id, channel] += count
        return None

    def _of_tests(self) -> Counter[int]:
        """Read what was tested today when it is first asked for."""
        if self._tested is None:
            rows = _TESTED.rows(self._session, self._limits, self._day)
            self._tested = Counter({service: int(count) for service, count in rows})
        return self._tested

    def store(self) -> None:
        """Write what was admitted."""
        add(self._session, self._counted(self._added))
        if self._added_tests:
            _ADD_TESTED.send(self._session, _rows(self._counted(self._added_tests)))

    def _counted(self, added: Counter[tuple[int, str]]) -> dict[tuple[int, date, str], int]:
        return {(service, self._day, channel): count for (service, channel), count in added.items()}


def _refusal(limit: int, used: int, wanted: int) -> Problem:
    now = clock.now()
    midnight = datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)
    detail = f"The service may send {limit} messages a day and has sent {used} today; this would be {wanted} more."
    seconds = max(1, int((midnight - now).total_seconds()))
    return Problem("daily_limit_reached", detail, headers={"Retry-After": str(seconds)})


# Holding messages to a recipient to their throttles: what is one too many is refused, or joins a digest.
#
# What is counted is what was accepted. The rows of the services are locked while it is (on PostgreSQL; SQLite has one
# writer anyway), so that the number is exact however many processes accept at once; and it is written in the
# transaction that stores the notification, so that no crash leaves the one without the other.


def wanted(content: Content, rules: Rules) -> Counter[Allowance]:
    """Count what a notification would take under each throttle: a message to each recipient in each channel.

    What joins a batch takes nothing: its batch is counted when it leaves.
    """
    notification, counts = content.notification, Counter[Allowance]()
    if notification is None or notification.priority == "BATCH":
        return counts
    high, test = notification.priority == "HIGH", content.manner.mode is Mode.TEST
    for channel in notification.channels:
        for recipient in set(channel.recipient):
            counts += throttles.asked(content.service_id, rules, channel.template_id, recipient, high=high, test=test)
    return counts


def _asked(session: Session, content: Content, service: ServiceState) -> Counter[Allowance] | None:
    """Count what a notification would take under the throttles of its service; None if there are none."""
    if not service.rules:
        return None
    rules = sending.of_service(session, content.service_id, service.rules)
    return wanted(content, rules) if rules.has_throttles else None


def digested(
    session: Session, content: Content, service: ServiceState, registered: Registered, now: datetime
) -> tuple[Content, Registered]:
    """Return what is one too many as what joins a digest instead, where its throttle says so; else as it is."""
    over = _over(session, content, service, now)
    if over is None or not can_be_digested(content, over):
        return content, registered
    return into_digest(session, content, registered, excess(over, now))


def excess(over: Over, now: datetime) -> Excess:
    """Say what becomes of what is one too many."""
    throttle = over.allowance.throttle
    return Excess(
        why=FieldError("/channels", "recipient_throttled", over.sentence()),
        problem=over.problem(now),
        digest_template=throttle.digest_template if throttle.then == "digest" else None,
        aggregator=AGGREGATOR,
    )


def _over(session: Session, content: Content, service: ServiceState, now: datetime) -> Over | None:
    asked = _asked(session, content, service)
    return Counts(session, asked, now).over(asked) if asked else None


def can_be_digested(content: Content, over: Over) -> bool:
    """Tell whether a notification joins a digest: not one that owes something, or has a moment, or other templates."""
    notification, throttle = content.notification, over.allowance.throttle
    if notification is None or throttle.then != "digest" or content.until is not None or content.moment is not None:
        return False
    subject = over.allowance.subject
    return subject.kind == "service" or {one.template_id for one in notification.channels} == {subject.name}


def refusal(session: Session, content: Content, service: ServiceState, now: datetime) -> Problem | None:
    """Say why a notification would be refused as one too many at this moment."""
    over = _over(session, content, service, now)
    return None if over is None or can_be_digested(content, over) else over.problem(now)


def admit(
    session: Session,
    validated: Sequence[tuple[Content, Plan | Problem]],
    services: Mapping[int, ServiceState],
    now: datetime,
) -> tuple[list[tuple[Content, Plan | Problem]], set[UUID], Counts]:
    """Hold a group to its throttles, in the transaction that locks its services.

    Returns what is stored, with what is refused; those that are to be validated again, since they join a digest; and
    the counts, to be stored with what is new. Where there is no throttle nothing is asked.
    """
    asked: dict[UUID, Counter[Allowance]] = {}
    for content, validation in validated if any(one.rules for one in services.values()) else ():
        found = _asked(session, content, services[content.service_id]) if isinstance(validation, Plan) else None
        if found:
            asked[content.uid] = found
    if not asked:
        return list(validated), set(), Counts(session, (), now)
    counts = throttles.counts(session, {one for some in asked.values() for one in some}, now)
    kept: list[tuple[Content, Plan | Problem]] = []
    again: set[UUID] = set()
    for content, validation in validated:
        over = counts.over(asked[content.uid]) if content.uid in asked else None
        if over is None:
            counts.add(content.uid, asked.get(content.uid, {}))
            kept.append((content, validation))
        elif can_be_digested(content, over):
            again.add(content.uid)
        else:
            kept.append((content, over.problem(now)))
    return kept, again, counts
