"""Recording what came of attempts, each exactly once, in two steps.

An attempt that has left the house is marked on its delivery at once, before the next one leaves, by one short
statement: so a killed worker leaves at most one message in each of its hands whose fate is unknown. What follows
from it (the event, the status of the notification or batch, the end of the claim) is written for the whole group
together. A worker that dies between the two steps leaves its name on the delivery, by which repair finds the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec
from sqlalchemy import ClauseElement, Table, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from backend.channels.base import Message, Outcome
from backend.db.driver import Insert
from backend.db.models.notifications import Delivery, DeliveryStatus, Event, OutboxMessage
from backend.db.statements import listed
from backend.delivery import retries, states
from backend.delivery.claims import Claim, as_it_was
from backend.delivery.doubt import Doubt
from backend.lib import clock, settings

OUTBOX = "outbox"
# What stands for the provider where it did not come to one.
RENDERING = "rendering"
SUPPRESSION = "suppression"
_DETAIL_LENGTH = 1000


Run = Callable[[ClauseElement, Mapping[str, Any]], int]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt came to.

    ``kept`` is the message where it goes to the outbox instead of a provider. ``doubt`` says who is to find out what
    became of an ambiguous attempt; without it the message is given to the provider again. ``bad_address``
    says that the provider will never take a message for this address. ``segments`` counts the parts that a text
    message was sent in. ``earlier`` are the attempts at other
    providers a moment before, which were not the message's fault.
    """

    claim: Claim
    outcome: Outcome
    provider: str
    detail: str
    provider_message_id: str | None = None
    retry_after: float | None = None
    kept: Message | None = None
    doubt: Doubt | None = None
    bad_address: bool = False
    segments: int | None = None
    earlier: tuple["Result", ...] = ()


class Waiting(msgspec.Struct, frozen=True):
    """A claim that goes back without having used up an attempt, since its way is held back.

    ``why`` is there if it is news; ``earlier`` are as in a result.
    """

    claim: Claim
    until: datetime
    why: str | None
    earlier: tuple[Result, ...] = ()


# Made once: building a statement costs more than running it.
_deliveries = cast("Table", Delivery.__table__)
_SET = update(_deliveries).values(
    {name: bindparam(f"new_{name}") for name in ("status", "attempts", "provider", "provider_message_id", "error")}
    | {name: bindparam(f"new_{name}") for name in ("due_at", "sent_at", "doubt", "segments")}
)
_HELD = _deliveries.c.claimed_by == bindparam("worker")
# A success counts even when the claim was lost meanwhile, since the message is out.
_UNFINISHED = or_(*(_deliveries.c.status == status.value for status in sorted(states.UNFINISHED)))
_MARK = _SET.where(_deliveries.c.id == bindparam("delivery"), _HELD)
_MARK_SENT = _SET.where(_deliveries.c.id == bindparam("delivery"), or_(_HELD, _UNFINISHED)).values(
    claimed_by=bindparam("worker")
)
# So many successes can be marked by one statement.
WIDEST = 8
_MARK_SOME = (
    update(_deliveries)
    .where(
        listed(_deliveries.c.id, "ids"),
        or_(_HELD, _UNFINISHED),
    )
    .values(
        status=DeliveryStatus.SENT.value,
        attempts=_deliveries.c.attempts + 1,
        provider=bindparam("new_provider"),
        provider_message_id=None,
        error=None,
        doubt=None,
        due_at=bindparam("now"),
        sent_at=bindparam("now"),
        claimed_by=bindparam("worker"),
    )
)
_STILL_HELD = select(_deliveries.c.id).where(listed(_deliveries.c.id, "ids"), _HELD)
_LET_GO = (
    update(_deliveries)
    .where(
        listed(_deliveries.c.id, "ids"),
        _HELD,
        or_(_deliveries.c.status != DeliveryStatus.SENDING.value, _deliveries.c.doubt.is_not(None)),
    )
    .values(claimed_by=None)
)
_PUT_BACK = (
    update(_deliveries)
    .where(_deliveries.c.id == bindparam("delivery"), _HELD)
    .values(
        status=bindparam("new_status"),
        due_at=bindparam("new_due_at"),
        error=func.coalesce(bindparam("new_error"), _deliveries.c.error),
        claimed_by=None,
    )
)
_EVENT = ("notification_id", "batch_id", "delivery_id", "at", "kind", "attempt", "provider", "detail")
_INSERT_EVENTS = Insert(cast("Table", Event.__table__), _EVENT)
_INSERT_KEPT = insert(cast("Table", OutboxMessage.__table__))


def mark(run: Run, result: Result, worker: str) -> bool:
    """Write an attempt's result on its delivery; tell whether it was this worker's to write."""
    statement = _MARK_SENT if result.outcome is Outcome.ACCEPTED else _MARK
    return run(statement, _values(result, worker)) == 1


def mark_all(run: Run, results: Sequence[Result], worker: str) -> list[Result]:
    """Mark several results; return those that were this worker's to write.

    Plain successes by one provider, which most are, are written by one statement.
    """
    plain = [one for one in results if one.outcome is Outcome.ACCEPTED and one.provider_message_id is None]
    together = plain[:WIDEST] if len({one.provider for one in plain}) == 1 and len(plain) > 1 else []
    if together and not _mark_some(run, together, worker):
        together = []  # somebody else has finished one of them: which, the single statements tell
    done = {one.claim.id for one in together}
    return [one for one in results if one.claim.id in done or mark(run, one, worker)]


def _mark_some(run: Run, results: Sequence[Result], worker: str) -> bool:
    values = {
        "ids": [one.claim.id for one in results],
        "new_provider": results[0].provider,
        "now": clock.now(),
        "worker": worker,
    }
    return run(_MARK_SOME, values) == len(results)


def finish(
    session: Session, marked: Sequence[Result], inside: Sequence[Result], waiting: Sequence[Waiting], worker: str
) -> None:
    """Write what follows from results: from those ``marked`` before, and from those that never left the house.

    What is ``waiting`` goes back as it was, to come due later.
    """
    connection = session.connection()
    if waiting:
        connection.execute(_PUT_BACK, [_put_back(one, worker) for one in waiting])
    written = [*marked, *_mark_held(session, inside, worker)]
    attempts = [attempt for one in waiting for attempt in one.earlier]
    attempts += [attempt for one in written for attempt in (*one.earlier, one)]
    if attempts:
        _INSERT_EVENTS.send(session, [_event(attempt) for attempt in attempts])
    if not written:
        return
    kept = [_kept(result, result.kept) for result in written if result.kept is not None]
    if kept:
        connection.execute(_INSERT_KEPT, kept)
    _refresh(session, written)
    connection.execute(_LET_GO, {"ids": [result.claim.id for result in written], "worker": worker})


def _put_back(waiting: Waiting, worker: str) -> dict[str, Any]:
    return {
        "delivery": waiting.claim.id,
        "worker": worker,
        "new_status": as_it_was(waiting.claim).value,
        "new_due_at": waiting.until,
        "new_error": waiting.why[:_DETAIL_LENGTH] if waiting.why else None,
    }


def _mark_held(session: Session, results: Sequence[Result], worker: str) -> list[Result]:
    """Mark at once what this worker still holds of ``results``."""
    if not results:
        return []
    connection = session.connection()
    ids = [result.claim.id for result in results]
    held = set(connection.execute(_STILL_HELD.with_for_update(), {"ids": ids, "worker": worker}).scalars())
    mine = [result for result in results if result.claim.id in held]
    if mine:
        connection.execute(_MARK, [_values(result, worker) for result in mine])
    return mine


def _refresh(session: Session, written: Sequence[Result]) -> None:
    """Bring notifications and batches to what their deliveries say now."""
    states.refresh(session, {identity for one in written if (identity := one.claim.notification_id) is not None})
    faults = {
        identity: one.detail[:_DETAIL_LENGTH] if one.provider == RENDERING else None
        for one in written
        if (identity := one.claim.batch_id) is not None
    }
    states.refresh_batches(session, faults)


def _values(result: Result, worker: str) -> dict[str, Any]:
    claim, accepted = result.claim, result.outcome is Outcome.ACCEPTED
    values: dict[str, Any] = {
        "delivery": claim.id,
        "worker": worker,
        "new_attempts": claim.attempts + 1,
        "new_provider": result.provider,
        "new_provider_message_id": result.provider_message_id,
        "new_error": None if accepted else result.detail[:_DETAIL_LENGTH],
        "new_sent_at": clock.now() if accepted else None,
        "new_doubt": result.doubt.value if result.doubt else None,
        "new_segments": result.segments,
    }
    return values | _status(result)


def _status(result: Result) -> dict[str, Any]:
    claim, now = result.claim, clock.now()
    if result.outcome is Outcome.ACCEPTED:
        return {"new_status": DeliveryStatus.SENT.value, "new_due_at": now}
    if result.doubt is Doubt.PERSON:
        return {"new_status": DeliveryStatus.SENDING.value, "new_due_at": now}
    again = None
    if result.outcome is not Outcome.PERMANENT:
        again = retries.next_attempt(
            attempts=claim.attempts + 1,
            accepted_at=claim.accepted_at,
            now=now,
            base_seconds=settings.current().retry_base_seconds,
            retry_after=result.retry_after,
            counted=result.outcome is not Outcome.THROTTLED,
        )
    status = DeliveryStatus.FAILED if again is None else DeliveryStatus.RETRYING
    return {"new_status": status.value, "new_due_at": again or now}


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


def _kept(result: Result, message: Message) -> dict[str, Any]:
    return {
        "delivery_id": result.claim.id,
        "service_id": result.claim.service_id,
        "channel": message.channel.value,
        "sender": message.sender,
        "address": message.address,
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "created_at": clock.now(),
    }
