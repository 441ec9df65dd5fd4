"""The state of the installation as Prometheus reads it: depths, workers and the ledger, from the database."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Any, TypeVar

import msgspec
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import and_, func, literal_column, select
from sqlalchemy.orm import Session

from backend.db import database as db
from backend.db.leases import LENGTH
from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.installation import HeldKind, Installation
from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus, Priority
from backend.db.models.operations import Worker
from backend.db.statements import one_of
from backend.delivery.outcomes.unknown_outcome import UnknownOutcome
from backend.lib import clock, queue, settings
from backend.lib.ttl_cache import TtlCache
from backend.monitoring import alarm, ledger, providers
from backend.monitoring.ledger import Entry
from backend.monitoring.providers import ProviderReport
from backend.restored import report
from backend.restored.report import Held

logger = logging.getLogger(__name__)
_Read = TypeVar("_Read")
_WHY = ("throttled", "config", "broken", "switched_off")
# Several who scrape at once, or one who scrapes without pause, get the same figures.
_FRESH_SECONDS = 1.0
_MOST_NAMED = 100


# How much waits, where and since when: the state of the installation, read from its database and queue.


class Depths(msgspec.Struct, frozen=True, kw_only=True):
    """What waits at one moment.

    ``queued`` and ``retrying`` count deliveries by priority, ``oldest_seconds`` is by how much the longest due of them
    is overdue, zero if none is. ``sending`` are claimed by workers. ``outcome_unknown`` wait for a person to say what
    became of them, the oldest for ``unknown_seconds``. ``workers`` counts those whose heartbeat is fresh,
    ``silent_workers`` the others; ``heartbeat_seconds`` is the age of the oldest heartbeat.
    """

    queued: Mapping[Priority, int]
    retrying: Mapping[Priority, int]
    oldest_seconds: Mapping[Priority, float]
    sending: int
    outcome_unknown: int
    unknown_seconds: float
    open_batches: int
    full_batches: int
    workers: int
    silent_workers: int
    heartbeat_seconds: float

    @property
    def waiting(self) -> int:
        """Count the deliveries that wait for their first or next try."""
        return sum(self.queued.values()) + sum(self.retrying.values())


def measure(session: Session) -> Depths:
    """Read the present depths; each statement is answered by an index of the rows that wait, not by the tables."""
    now = clock.now()
    waiting = _waiting(session)
    batches = _batches(session)
    outcome_unknown, since = _of_unknown_outcome(session)
    beats = session.scalars(select(Worker.seen_at)).all()
    fresh = sum(seen_at >= now - LENGTH for seen_at in beats)
    return Depths(
        queued=_counted(waiting, DeliveryStatus.QUEUED),
        retrying=_counted(waiting, DeliveryStatus.RETRYING),
        oldest_seconds={priority: _overdue(waiting, priority, now) for priority in Priority},
        sending=_sending(session),
        outcome_unknown=outcome_unknown,
        unknown_seconds=max(0.0, (now - (since or now)).total_seconds()),
        open_batches=batches.get(BatchStatus.OPEN, 0),
        full_batches=batches.get(BatchStatus.CLOSED, 0),
        workers=fresh,
        silent_workers=len(beats) - fresh,
        heartbeat_seconds=max((0.0, *((now - seen_at).total_seconds() for seen_at in beats))),
    )


_IS_WAITING = one_of(Delivery.status, WAITING)
_Waiting = dict[tuple[Priority, DeliveryStatus], tuple[int, datetime]]


def _waiting(session: Session) -> _Waiting:
    """Count what waits by priority and status, each with the moment when the first of it is due."""
    # With a GROUP BY, SQLite would sort all that waits, in memory that the process then keeps.
    kinds = list(product(Priority, WAITING))
    own = [and_(Delivery.priority == priority.value, Delivery.status == status.value) for priority, status in kinds]
    counts = [func.count().filter(each) for each in own]
    firsts = [func.min(Delivery.due_at).filter(each) for each in own]
    row: Sequence[Any] = session.execute(select(*counts, *firsts).where(_IS_WAITING)).one()
    found = zip(kinds, row[: len(kinds)], row[len(kinds) :], strict=True)
    return {kind: (count, due) for kind, count, due in found if count}


def _counted(waiting: _Waiting, status: DeliveryStatus) -> dict[Priority, int]:
    return {priority: waiting[priority, status][0] if (priority, status) in waiting else 0 for priority in Priority}


def _overdue(waiting: _Waiting, priority: Priority, now: datetime) -> float:
    oldest = min((due for (one, _), (_, due) in waiting.items() if one is priority), default=now)
    return max(0.0, (now - oldest).total_seconds())


def _sending(session: Session) -> int:
    held = select(func.count()).where(Delivery.claimed_by.is_not(None), Delivery.status == DeliveryStatus.SENDING.value)
    return session.scalar(held) or 0


def _of_unknown_outcome(session: Session) -> tuple[int, datetime | None]:
    """Count what waits for a person, with the moment since when the first of it does."""
    # Written into the statement, or SQLite would not take the index that holds nothing else.
    is_outcome_unknown = Delivery.doubt == literal_column(f"'{UnknownOutcome.PERSON.value}'")
    count, since = session.execute(select(func.count(), func.min(Delivery.due_at)).where(is_outcome_unknown)).one()
    return count, since


def _batches(session: Session) -> dict[BatchStatus, int]:
    waiting = one_of(Batch.status, (BatchStatus.OPEN, BatchStatus.CLOSED))
    rows = session.execute(select(Batch.status, func.count()).where(waiting).group_by(Batch.status))
    return {BatchStatus(status): count for status, count in rows}


# How old the last backup is, and whether that is too old.


class LastBackup(msgspec.Struct, frozen=True):
    """When the last good backup was begun, if ever, and how old it was when this was read."""

    made_at: datetime | None
    age: timedelta | None
    overdue: bool


def read(session: Session) -> LastBackup:
    """Read it; outside production one may do without any, and ``CARILLON_BACKUP_DAYS`` of 0 asks for none."""
    configuration = settings.current()
    made_at = session.scalar(select(Installation.backed_up_at).limit(1))
    age = None if made_at is None else max(clock.now() - made_at, timedelta())
    if not configuration.backup_days:
        overdue = False
    elif age is None:
        overdue = configuration.env == "production"
    else:
        overdue = age > timedelta(days=configuration.backup_days)
    return LastBackup(made_at, age, overdue)


def _cached(read: Callable[[Session], _Read]) -> TtlCache[_Read]:
    def fresh() -> _Read:
        with db.current().read() as session:
            return read(session)

    return TtlCache(fresh, seconds=_FRESH_SECONDS)


def _read_queue() -> int | None:
    """Count what waits in the queue; None while it cannot be asked, whatever its storage raises then."""
    try:
        return int(queue.huey().pending_count())
    except Exception:
        logger.warning("The queue cannot be asked how much waits in it", exc_info=True)
        return None


_depths = _cached(measure)
_providers = _cached(providers.providers)
_held = _cached(report.held)
_backup = _cached(read)
_pending = TtlCache(_read_queue, seconds=_FRESH_SECONDS)


def clear() -> None:
    """Read everything anew at the next call."""
    for figure in (_depths, _providers, _held, _backup, _pending, alarm.recent):
        figure.clear()


class State(Collector):
    """Reads the state when it is collected; the database's errors are raised.

    Depths are a second old at most, the ledger a minute; both are older where reading them takes long.
    """

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge."""
        yield from _of_depths(_depths.get())
        yield from _of_providers(_providers.get())
        yield from _of_held(_held.get())
        yield from _of_backup(_backup.get())
        yield from _of_queue(_pending.get())
        yield from _of_ledger(alarm.recent.get())


def _of_queue(pending: int | None) -> Iterator[Metric]:
    up = pending is not None and not queue.giving().is_open()
    yield GaugeMetricFamily("carillon_queue_up", "Whether the queue takes and gives wake-ups", value=int(up))
    if pending is not None:
        yield GaugeMetricFamily("carillon_queue_pending", "Nudges that wait in Huey's queue", value=pending)


def _of_depths(found: Depths) -> Iterator[Metric]:
    waiting = GaugeMetricFamily("carillon_deliveries", "Deliveries not finished", labels=["priority", "state"])
    oldest = GaugeMetricFamily(
        "carillon_oldest_due_seconds", "By how much the longest due delivery is overdue", labels=["priority"]
    )
    for priority, count in found.queued.items():
        waiting.add_metric([priority.name, "queued"], count)
        waiting.add_metric([priority.name, "retrying"], found.retrying[priority])
        oldest.add_metric([priority.name], found.oldest_seconds[priority])
    yield waiting
    yield oldest
    yield GaugeMetricFamily("carillon_deliveries_sending", "Deliveries in workers' hands", value=found.sending)
    yield GaugeMetricFamily(
        "carillon_deliveries_in_doubt",
        "Deliveries of which a person has to say what became",
        value=found.outcome_unknown,
    )
    yield GaugeMetricFamily(
        "carillon_oldest_doubt_seconds", "For how long the oldest of them has waited", value=found.unknown_seconds
    )
    batches = GaugeMetricFamily("carillon_batches_waiting", "Batches not dispatched yet", labels=["state"])
    batches.add_metric(["open"], found.open_batches)
    batches.add_metric(["full"], found.full_batches)
    yield batches
    workers = GaugeMetricFamily("carillon_workers", "Worker processes by their heartbeat", labels=["state"])
    workers.add_metric(["alive"], found.workers)
    workers.add_metric(["silent"], found.silent_workers)
    yield workers
    yield GaugeMetricFamily(
        "carillon_worker_heartbeat_seconds", "Age of the oldest heartbeat", value=found.heartbeat_seconds
    )


def _of_providers(found: list[ProviderReport]) -> Iterator[Metric]:
    labels = ["channel", "provider"]
    held = GaugeMetricFamily(
        "carillon_provider_held_back", "1 while nothing goes by a provider, by why", labels=[*labels, "why"]
    )
    weight = GaugeMetricFamily("carillon_provider_weight", "Part of the messages offered to it first", labels=labels)
    for one in found:
        for why in _WHY:
            is_held = one.block == why if why != "switched_off" else not one.switched_on
            held.add_metric([one.channel, one.name, why], int(is_held))
        weight.add_metric([one.channel, one.name], one.weight)
    yield held
    yield weight


def _of_held(found: Held) -> Iterator[Metric]:
    held = GaugeMetricFamily("carillon_held", "What is held back in a restored database, by kind", labels=["kind"])
    for kind in HeldKind:
        held.add_metric([kind.value], sum(group.count for group in found.groups if group.kind == kind.value))
    yield held


def _of_backup(found: LastBackup) -> Iterator[Metric]:
    overdue = "1 while the last good backup is older than CARILLON_BACKUP_DAYS, or there is none in production"
    yield GaugeMetricFamily("carillon_backup_overdue", overdue, value=int(found.overdue))
    age = GaugeMetricFamily("carillon_backup_age_seconds", "Age of the last good backup; nothing if none was made")
    if found.age is not None:
        age.add_metric([], found.age.total_seconds())
    yield age


def _of_ledger(entries: list[Entry]) -> Iterator[Metric]:
    """Sum up the services, whose number has no bound; those that are uneven, which none should be, are named."""
    messages = GaugeMetricFamily(
        "carillon_ledger_messages", "Messages by day of acceptance (UTC) and state", labels=["day", "state"]
    )
    imbalance = GaugeMetricFamily(
        "carillon_ledger_imbalance",
        "Messages that the ledger misses or has too many; not 0 is an alarm",
        labels=["day"],
    )
    uneven = GaugeMetricFamily(
        "carillon_ledger_uneven_services", "Services whose ledger does not balance", labels=["day"]
    )
    of_service = GaugeMetricFamily(
        "carillon_ledger_service_imbalance", "The same of a service that is uneven", labels=["service", "day"]
    )
    today = clock.today()
    for name, day in (("today", today), ("yesterday", today - timedelta(days=1))):
        of_day = [entry for entry in entries if entry.day == day]
        for state in (ledger.ACCEPTED, *ledger.STATES):
            messages.add_metric([name, state], sum(getattr(entry, state) for entry in of_day))
        imbalance.add_metric([name], sum(abs(entry.imbalance) for entry in of_day))
        wrong = [entry for entry in of_day if entry.imbalance]
        uneven.add_metric([name], len(wrong))
        for entry in wrong[:_MOST_NAMED]:
            of_service.add_metric([str(entry.service_id), name], entry.imbalance)
    yield messages
    yield imbalance
    yield uneven
    yield of_service
