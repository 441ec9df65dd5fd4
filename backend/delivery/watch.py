"""What sending tells of itself: counts and times for Prometheus, and one line in the log for each attempt.

A line names the delivery and its notification, which the line of the request that sent it names too; of a batch it
names the batch's row. Addresses, subjects and the provider's words are not in it.
"""

import logging
from collections import Counter
from collections.abc import Sequence

from backend.channels.base import Outcome
from backend.db.models.notifications import Priority
from backend.delivery.record import Result
from backend.lib import clock, logs, metrics, traces

logger = logging.getLogger(__name__)

_PRIORITIES = {priority.value: priority.name for priority in Priority}


def attempted(attempts: Sequence[tuple[Result, float]]) -> None:
    """Observe attempts with the seconds that each took; those that were under way together are told together."""
    _count([result for result, _ in attempts])
    for result, seconds in attempts:
        channel, priority = result.claim.channel.value, _PRIORITIES[result.claim.priority]
        metrics.send_seconds(channel, result.provider, priority).observe(seconds)
    if attempts:
        logs.event(logger, logging.INFO, "attempt", *(_fields(result, seconds) for result, seconds in attempts))
    if traces.enabled():
        for result, seconds in attempts:
            _trace(result, "send", seconds)


def inside(results: Sequence[Result]) -> None:
    """Observe what never came to a provider: messages that do not render, and those for the outbox."""
    _count(results)
    if results:
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
    counts: Counter[tuple[str, str, str, str]] = Counter()
    now = clock.now()
    for result in results:
        claim = result.claim
        channel, priority = claim.channel.value, _PRIORITIES[claim.priority]
        counts[channel, result.provider, priority, result.outcome.value] += 1
        if result.outcome is Outcome.ACCEPTED:
            waited = (now - claim.accepted_at).total_seconds()
            metrics.accept_to_sent(channel, result.provider, priority).observe(waited)
    for labels, count in counts.items():
        metrics.attempts(*labels).inc(count)


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
