"""What sending tells of itself: counts and times for Prometheus, and one line in the log for each attempt.

A line names the delivery and its notification, which the line of the request that sent it names too; of a batch it
names the batch's row. Addresses, subjects and the provider's words are not in it.
"""

import logging
from collections.abc import Sequence

from backend.channels.base import Channel, Outcome
from backend.db.models.notifications import Priority
from backend.delivery.outcomes.record import Result
from backend.lib import clock, logs, metrics, traces

logger = logging.getLogger(__name__)

_PRIORITIES = {priority.value: priority.name for priority in Priority}


def attempted(attempts: Sequence[tuple[Result, float]]) -> None:
    """Observe attempts with the seconds that each took; those that were under way together are told together."""
    if attempts:
        _count([result for result, _ in attempts])
        for labels, some in _alike(attempts).items():
            metrics.send_seconds(*labels).observe_all(some)
        logs.event(logger, logging.INFO, "attempt", *(_fields(result, seconds) for result, seconds in attempts))
    if traces.enabled():
        for result, seconds in attempts:
            _trace(result, "send", seconds)


def inside(results: Sequence[Result]) -> None:
    """Observe what never came to a provider: messages that do not render, and those for the outbox."""
    if results:
        _count(results)
        logs.event(logger, logging.INFO, "attempt", *(_fields(result, 0.0) for result in results))
    if traces.enabled():
        for result in results:
            _trace(result, "keep" if result.kept is not None else "refuse", 0.0)


def _trace(result: Result, name: str, seconds: float) -> None:
    claim = result.claim
    attributes: dict[str, str | int] = {
        "carillon.delivery": str(claim.uid),
        "carillon.channel": claim.channel.value,
        "carillon.priority": _PRIORITIES[claim.priority],
        "carillon.provider": result.provider,
        "carillon.attempt": claim.attempts + 1,
        "carillon.outcome": result.outcome.value,
    }
    fault = None if result.outcome is Outcome.ACCEPTED else result.outcome.value
    traces.mark(claim.trace, name, attributes, seconds=seconds, fault=fault)


def _count(results: Sequence[Result]) -> None:
    now = clock.now()
    by_outcome: dict[Outcome, list[tuple[Result, float]]] = {}
    for result in results:
        waited = (now - result.claim.accepted_at).total_seconds()
        by_outcome.setdefault(result.outcome, []).append((result, waited))
    for outcome, some in by_outcome.items():
        for labels, waits in _alike(some).items():
            metrics.attempts(*labels, outcome.value).inc(len(waits))
            if outcome is Outcome.ACCEPTED:
                metrics.accept_to_sent(*labels).observe_all(waits)


def _alike(measured: Sequence[tuple[Result, float]]) -> dict[tuple[str, str, str], list[float]]:
    """Put figures of the same channel, provider and priority together."""
    parts: dict[tuple[Channel, str, int], list[float]] = {}
    for result, figure in measured:
        claim = result.claim
        parts.setdefault((claim.channel, result.provider, claim.priority), []).append(figure)
    return {
        (channel.value, provider, _PRIORITIES[priority]): figures
        for (channel, provider, priority), figures in parts.items()
    }


def _fields(result: Result, seconds: float) -> dict[str, logs.Value]:
    claim = result.claim
    fields: dict[str, logs.Value] = {
        "delivery": str(claim.uid),
        "provider": result.provider,
        "outcome": result.outcome.value,
        "attempt": claim.attempts + 1,
        "ms": round(seconds * 1000, 2),
    }
    if claim.batch_id is not None:
        fields["batch"] = claim.batch_id
    elif claim.notification_uid is not None:
        fields["notification"] = str(claim.notification_uid)
    return fields
