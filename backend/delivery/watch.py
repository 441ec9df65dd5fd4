"""What sending tells of itself: counts and times for Prometheus, and one line in the log for each attempt.

A line names the delivery and its notification, which the line of the request that sent it names too; of a batch it
names the batch's row. Addresses, subjects and the provider's words are not in it.
"""

import logging
from collections.abc import Sequence

from backend.channels.base import Outcome
from backend.db.models.notifications import Priority
from backend.delivery.record import Result
from backend.lib import clock, logs, metrics, traces

logger = logging.getLogger(__name__)

_PRIORITIES = {priority.value: priority.name for priority in Priority}


def attempted(result: Result, seconds: float) -> None:
    """Observe an attempt that took so long."""
    _count(result)
    metrics.send_seconds(result.claim.channel.value, result.provider).observe(seconds)
    logs.event(logger, logging.INFO, "attempt", _fields(result, seconds))
    if traces.enabled():
        _trace(result, "send", seconds)


def inside(results: Sequence[Result]) -> None:
    """Observe what never came to a provider: messages that do not render, and those for the outbox."""
    for result in results:
        _count(result)
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


def _count(result: Result) -> None:
    claim = result.claim
    channel, priority = claim.channel.value, _PRIORITIES[claim.priority]
    metrics.attempts(channel, result.provider, priority, result.outcome.value).inc()
    if result.outcome is Outcome.ACCEPTED:
        waited = (clock.now() - claim.accepted_at).total_seconds()
        metrics.accept_to_sent(channel, priority).observe(waited)


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
