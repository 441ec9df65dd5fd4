"""Recording what came of attempts, each exactly once, in two steps.

An attempt that has left the application is marked on its delivery at once, before the next one leaves, by one short
statement: so a killed worker leaves at most one message in each of its threads whose fate is unknown. What follows
from it (the event, the status of the notification or batch, the end of the claim) is written for the whole group
together. A worker that dies between the two steps leaves its token on the delivery, by which the reaper finds the rest.

Every statement names the token under which the delivery was claimed: who has lost the claim writes nothing about it,
but for a success, since the message is out. Where a message must not be given away twice, that it is about to be is
written down before; a worker that dies then leaves an attempt whose outcome is unknown.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec
from sqlalchemy import ClauseElement, Table, bindparam, func, insert, or_, select, update
from sqlalchemy.orm import Session

from backend.channels.base import Message, Outcome, ProviderError, Scope
from backend.db import events
from backend.db.models.notifications import Delivery, DeliveryStatus, OutboxMessage
from backend.db.statements import listed
from backend.delivery.outcomes import states, unknown_outcome
from backend.delivery.outcomes.unknown_outcome import UnknownOutcome
from backend.delivery.queueing import retries
from backend.delivery.queueing.claims import Claim, as_it_was
from backend.lib import clock, settings

OUTBOX = "outbox"
# What stands for the provider where it did not come to one.
RENDERING = "rendering"
SUPPRESSION = "suppression"
_DETAIL_LENGTH = 1000


Run = Callable[[ClauseElement, Mapping[str, Any]], int]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one attempt came to.

    ``kept`` is the message where it goes to the outbox instead of a provider, or to the simulator in a test.
    ``unknown_outcome`` says who is to find out what became of an ambiguous attempt; without it the message is given to
    the provider again. ``scope`` is what a refusal is about, and ``bad_address`` says that the provider will never take
    a message for this address. ``segments`` counts the parts that a text message was sent in. ``earlier`` are the
    attempts at other providers a moment before, which were not the message's fault. ``subject`` is the message's,
    ``thread`` and ``message_id`` are as in a receipt.
    """

    claim: Claim
    outcome: Outcome
    provider: str
    detail: str
    provider_message_id: str | None = None
    retry_after: float | None = None
    kept: Message | None = None
    doubt: UnknownOutcome | None = None
    scope: Scope = Scope.MESSAGE
    bad_address: bool = False
    segments: int | None = None
    earlier: tuple["Result", ...] = ()
    subject: str | None = None
    thread: str | None = None
    message_id: str | None = None


def failure(
    claim: Claim,
    provider: str,
    error: ProviderError,
    outcome_unknown: UnknownOutcome | None,
    scope: Scope = Scope.MESSAGE,
) -> Result:
    """Return the result of a refused attempt; ``outcome_unknown`` says who finds out about an ambiguous one."""
    detail = (
        unknown_outcome.sentence(provider, error.detail) if outcome_unknown is UnknownOutcome.PERSON else error.detail
    )
    return Result(
        claim=claim,
        outcome=error.outcome,
        provider=provider,
        detail=detail,
        retry_after=error.retry_after,
        doubt=outcome_unknown,
        scope=scope,
        bad_address=error.bad_address,
    )


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
_CLAIMED = _deliveries.c.claimed_by == bindparam("token")
# A success whose claim was lost is finished under the token that its worker has now.
_CLAIMED_NOW = or_(_CLAIMED, _deliveries.c.claimed_by == bindparam("present"))
# A success counts even when the claim was lost meanwhile, since the message is out.
_UNFINISHED = or_(*(_deliveries.c.status == status.value for status in sorted(states.UNFINISHED)))
_MARK = _SET.where(_deliveries.c.id == bindparam("delivery"), _CLAIMED)
_MARK_SENT = _SET.where(_deliveries.c.id == bindparam("delivery"), or_(_CLAIMED, _UNFINISHED)).values(
    claimed_by=bindparam("present")
)
_BEGIN = (
    update(_deliveries)
    .where(listed(_deliveries.c.id, "ids"), _CLAIMED, _deliveries.c.status == DeliveryStatus.SENDING.value)
    .values(begun_at=bindparam("now"), provider=bindparam("new_provider"))
)
# So many successes can be marked by one statement.
WIDEST = 8
_MARK_SOME = (
    update(_deliveries)
    .where(
        listed(_deliveries.c.id, "ids"),
        or_(_CLAIMED, _UNFINISHED),
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
        claimed_by=bindparam("present"),
    )
)
_STILL_CLAIMED = select(_deliveries.c.id).where(listed(_deliveries.c.id, "ids"), _CLAIMED)
_LET_GO = (
    update(_deliveries)
    .where(
        listed(_deliveries.c.id, "ids"),
        _CLAIMED_NOW,
        or_(_deliveries.c.status != DeliveryStatus.SENDING.value, _deliveries.c.doubt.is_not(None)),
    )
    .values(claimed_by=None)
    .returning(_deliveries.c.id)
)
_PUT_BACK = (
    update(_deliveries)
    .where(_deliveries.c.id == bindparam("delivery"), _CLAIMED)
    .values(
        status=bindparam("new_status"),
        due_at=bindparam("new_due_at"),
        error=func.coalesce(bindparam("new_error"), _deliveries.c.error),
        claimed_by=None,
    )
)
_INSERT_KEPT = insert(cast("Table", OutboxMessage.__table__))


def begin(run: Run, claims: Sequence[Claim], provider: str) -> bool:
    """Write down that messages are about to be given to a provider; tell whether all of them were still to be."""
    values = {"ids": [one.id for one in claims], "token": claims[0].token, "now": clock.now(), "new_provider": provider}
    return run(_BEGIN, values) == len(claims)


def mark(run: Run, result: Result, present: str) -> bool:
    """Write an attempt's result on its delivery; tell whether it was this worker's to write.

    ``present`` is the token that the worker has now, whatever that of the claim was.
    """
    if result.outcome is Outcome.ACCEPTED:
        return run(_MARK_SENT, _values(result) | {"present": present}) == 1
    return run(_MARK, _values(result)) == 1


def mark_all(run: Run, results: Sequence[Result], present: str) -> list[Result]:
    """Mark several results of claims under one token; return those that were this worker's to write.

    Plain successes by one provider, which most are, are written by one statement.
    """
    plain = [one for one in results if one.outcome is Outcome.ACCEPTED and one.provider_message_id is None]
    together = plain[:WIDEST] if len({one.provider for one in plain}) == 1 and len(plain) > 1 else []
    if together and not _mark_some(run, together, present):
        together = []  # somebody else has finished one of them: which, the single statements tell
    done = {one.claim.id for one in together}
    return [one for one in results if one.claim.id in done or mark(run, one, present)]


def _mark_some(run: Run, results: Sequence[Result], present: str) -> bool:
    values = {
        "ids": [one.claim.id for one in results],
        "new_provider": results[0].provider,
        "now": clock.now(),
        "token": results[0].claim.token,
        "present": present,
    }
    return run(_MARK_SOME, values) == len(results)


def finish(
    session: Session, marked: Sequence[Result], inside: Sequence[Result], waiting: Sequence[Waiting], present: str
) -> list[Result]:
    """Write what follows from results: from those ``marked`` before, and from those that never left the application.

    All of them were claimed under one token. What is ``waiting`` goes back as it was, to come due later. Of what is
    another's by now nothing follows. Returns those of which something did.
    """
    connection = session.connection()
    if waiting:
        connection.execute(_PUT_BACK, [_put_back(one) for one in waiting])
    written = _let_go(session, [*marked, *_mark_claimed(session, inside)], present)
    attempts = [attempt for one in waiting for attempt in one.earlier]
    attempts += [attempt for one in written for attempt in (*one.earlier, one)]
    events.write(session, [_event(attempt) for attempt in attempts])
    if not written:
        return []
    kept = [_kept(result, result.kept) for result in written if result.kept is not None]
    if kept:
        connection.execute(_INSERT_KEPT, kept)
    _refresh(session, written)
    return written


def _let_go(session: Session, results: Sequence[Result], present: str) -> list[Result]:
    """End the claims of marked results; return those whose claims had not ended, of which nobody else has written."""
    if not results:
        return []
    values = {"ids": [one.claim.id for one in results], "token": results[0].claim.token, "present": present}
    ended = set(session.connection().execute(_LET_GO, values).scalars().all())
    return [one for one in results if one.claim.id in ended]


def _put_back(waiting: Waiting) -> dict[str, Any]:
    return {
        "delivery": waiting.claim.id,
        "token": waiting.claim.token,
        "new_status": as_it_was(waiting.claim).value,
        "new_due_at": waiting.until,
        "new_error": waiting.why[:_DETAIL_LENGTH] if waiting.why else None,
    }


def _mark_claimed(session: Session, results: Sequence[Result]) -> list[Result]:
    """Mark at once what this worker still holds of ``results``."""
    if not results:
        return []
    connection = session.connection()
    ids = [result.claim.id for result in results]
    wanted = {"ids": ids, "token": results[0].claim.token}
    claimed = set(connection.execute(_STILL_CLAIMED.with_for_update(), wanted).scalars().all())
    mine = [result for result in results if result.claim.id in claimed]
    if mine:
        connection.execute(_MARK, [_values(result) for result in mine])
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


def _values(result: Result) -> dict[str, Any]:
    claim, accepted = result.claim, result.outcome is Outcome.ACCEPTED
    values: dict[str, Any] = {
        "delivery": claim.id,
        "token": claim.token,
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
    if result.doubt is UnknownOutcome.PERSON:
        return {"new_status": DeliveryStatus.SENDING.value, "new_due_at": now}
    again = None
    if result.outcome is not Outcome.PERMANENT:
        again = retries.next_attempt(
            attempts=claim.attempts + 1,
            accepted_at=claim.accepted_at,
            now=now,
            base_seconds=settings.current().retry_base_seconds,
            retry_after=result.retry_after,
        )
    status = DeliveryStatus.FAILED if again is None else DeliveryStatus.RETRYING
    return {"new_status": status.value, "new_due_at": again or now}


def _event(result: Result) -> dict[str, Any]:
    return events.event(
        result.outcome.value if result.provider != OUTBOX else "kept",
        _told(result)[:_DETAIL_LENGTH],
        notification_id=result.claim.notification_id,
        batch_id=result.claim.batch_id,
        delivery_id=result.claim.id,
        attempt=result.claim.attempts + 1,
        provider=result.provider,
    )


def _told(result: Result) -> str:
    note = result.claim.note
    return result.detail if note is None else f"{result.detail.rstrip('.')}. {note}"


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
