"""Recording what came of attempts, each exactly once."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from backend.channels.base import Message, Outcome
from backend.db.models.notifications import Delivery, DeliveryStatus, Event, OutboxMessage
from backend.delivery import retries, states
from backend.delivery.claims import Claim
from backend.lib import clock, settings

OUTBOX = "outbox"
# What stands for the provider where it did not come to one.
RENDERING = "rendering"
_DETAIL_LENGTH = 1000


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt came to. ``kept`` is the message where it goes to the outbox instead of a provider."""

    claim: Claim
    outcome: Outcome
    provider: str
    detail: str
    provider_message_id: str | None = None
    retry_after: float | None = None
    kept: Message | None = None


def record(session: Session, results: Sequence[Result], worker: str) -> None:
    """Write the results.

    A success counts even when the claim was lost meanwhile, since the message is out. Anything else is written by
    the holder of the claim alone.
    """
    written: list[Result] = []
    for result in results:
        values = _values(result)
        held = Delivery.claimed_by == worker
        if result.outcome is Outcome.ACCEPTED:
            held = Delivery.status.in_([status.value for status in states.UNFINISHED])
        done = session.execute(
            update(Delivery)
            .where(Delivery.id == result.claim.id, held)
            .values(**values)
            .returning(Delivery.id)
            .execution_options(synchronize_session=False)
        ).scalar()
        if done is not None:
            written.append(result)
    if written:
        session.execute(insert(Event), [_event(result) for result in written])
        _keep(session, written)
        _refresh(session, written)


def _refresh(session: Session, written: Sequence[Result]) -> None:
    """Bring notifications and batches to what their deliveries say now."""
    states.refresh(session, [identity for one in written if (identity := one.claim.notification_id) is not None])
    faults = {
        identity: one.detail[:_DETAIL_LENGTH] if one.provider == RENDERING else None
        for one in written
        if (identity := one.claim.batch_id) is not None
    }
    states.refresh_batches(session, faults)


def _values(result: Result) -> dict[str, Any]:
    now, claim = clock.now(), result.claim
    values: dict[str, Any] = {
        "attempts": claim.attempts + 1,
        "provider": result.provider,
        "claimed_by": None,
        "error": None if result.outcome is Outcome.ACCEPTED else result.detail[:_DETAIL_LENGTH],
    }
    if result.outcome is Outcome.ACCEPTED:
        return values | {
            "status": DeliveryStatus.SENT.value,
            "sent_at": now,
            "provider_message_id": result.provider_message_id,
        }
    if result.outcome is Outcome.PERMANENT:
        return values | {"status": DeliveryStatus.FAILED.value}
    again = retries.next_attempt(
        attempts=claim.attempts + 1,
        accepted_at=claim.accepted_at,
        now=now,
        base_seconds=settings.current().retry_base_seconds,
        retry_after=result.retry_after,
    )
    if again is None:
        return values | {"status": DeliveryStatus.FAILED.value}
    return values | {"status": DeliveryStatus.RETRYING.value, "due_at": again}


def _event(result: Result) -> dict[str, Any]:
    return {
        "notification_id": result.claim.notification_id,
        "batch_id": result.claim.batch_id,
        "delivery_id": result.claim.id,
        "at": clock.now(),
        "kind": result.outcome.value if result.kept is None else "kept",
        "attempt": result.claim.attempts + 1,
        "provider": result.provider,
        "detail": result.detail[:_DETAIL_LENGTH],
    }


def _keep(session: Session, results: Sequence[Result]) -> None:
    """Store outbox messages in the transaction that records them, so that each is there exactly once."""
    rows = [
        {
            "delivery_id": result.claim.id,
            "service_id": result.claim.service_id,
            "channel": result.kept.channel.value,
            "sender": result.kept.sender,
            "address": result.kept.address,
            "subject": result.kept.subject,
            "text": result.kept.text,
            "html": result.kept.html,
            "created_at": clock.now(),
        }
        for result in results
        if result.kept is not None
    ]
    if rows:
        session.execute(insert(OutboxMessage), rows)
