"""The state of the installation as Prometheus reads it: depths, workers and the ledger, from the database."""

import logging
from collections.abc import Iterator
from datetime import timedelta

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from backend.db import database as db
from backend.db.models.installation import HeldKind
from backend.lib import clock, queue
from backend.lib.ttl_cache import TtlCache
from backend.reports import alarm, depths, last_backup, ledger, providers
from backend.reports.depths import Depths
from backend.reports.last_backup import LastBackup
from backend.reports.ledger import Entry
from backend.reports.providers import ProviderReport
from backend.restored import report
from backend.restored.report import Held

logger = logging.getLogger(__name__)

_WHY = ("throttled", "config", "broken", "switched_off")
# Several who scrape at once, or one who scrapes without pause, get the same figures.
_FRESH_SECONDS = 1.0
_MOST_NAMED = 100


def _read_depths() -> Depths:
    with db.current().read() as session:
        return depths.measure(session)


_depths = TtlCache(_read_depths, seconds=_FRESH_SECONDS)


def _read_providers() -> list[ProviderReport]:
    with db.current().read() as session:
        return providers.providers(session)


_providers = TtlCache(_read_providers, seconds=_FRESH_SECONDS)


def _read_held() -> Held:
    with db.current().read() as session:
        return report.held(session)


def _read_backup() -> LastBackup:
    with db.current().read() as session:
        return last_backup.read(session)


def _read_queue() -> int | None:
    """Count what waits in the queue; None while it cannot be asked, whatever its storage raises then."""
    try:
        return int(queue.huey().pending_count())
    except Exception:
        logger.warning("The queue cannot be asked how much waits in it", exc_info=True)
        return None


_held = TtlCache(_read_held, seconds=_FRESH_SECONDS)
_backup = TtlCache(_read_backup, seconds=_FRESH_SECONDS)
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
