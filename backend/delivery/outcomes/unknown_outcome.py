"""Messages of which nobody knows whether the provider took them: what is done about each, and what a person decides.

What is repeatable goes again with the same identity. A provider that can be asked is asked before the next attempt.
Everything else waits for a person: a second text message or a second ticket is worse than a late one.
"""

import enum
from typing import Any, cast

from sqlalchemy import CursorResult, select, update
from sqlalchemy.orm import Session

from backend.channels.base import Provider, StatusLookup
from backend.db import events
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.delivery.outcomes import states
from backend.delivery.queueing import retries
from backend.lib import clock


class UnknownOutcome(enum.StrEnum):
    """Who is to find out what became of an attempt."""

    ASK = "ask"
    PERSON = "person"


class Decision(enum.StrEnum):
    """What a person can decide about a message of unknown outcome."""

    RESEND = "resend"
    MARK_SENT = "mark_sent"
    FAIL = "fail"


_WORDS = {
    Decision.RESEND: "to send it again",
    Decision.MARK_SENT: "that it was sent",
    Decision.FAIL: "that it has failed",
}


def is_repeatable(provider: Provider) -> bool:
    """Tell whether a message may simply be given to a provider again: whether it is ``Repeatable``."""
    return hasattr(provider, "repeatable")  # all that isinstance() looks for, in a twentieth of the time


def resolver(provider: Provider, connection: object, attempts: int) -> UnknownOutcome | None:
    """Say who finds out after ``attempts`` tries; ``None`` where the message may simply be given again."""
    if is_repeatable(provider):
        return None
    return (
        UnknownOutcome.ASK
        if isinstance(connection, StatusLookup) and attempts < retries.MAX_ATTEMPTS
        else UnknownOutcome.PERSON
    )


def sentence(provider: str, detail: str) -> str:
    """Tell of a message that waits for a person."""
    return (
        f"Nobody knows whether {provider} took this message ({detail.rstrip('.')}); it waits for a person to decide "
        "whether it is sent again, counts as sent, or has failed."
    )


def decide(session: Session, delivery_id: int, decision: Decision, by: str) -> bool:
    """Carry out what ``by`` has decided about a delivery of unknown outcome; false if that is known by now.

    ``delivery_id`` is the row's. The caller commits, and wakes the workers after ``RESEND``.
    """
    now = clock.now()
    values: dict[str, Any] = {"doubt": None}
    match decision:
        case Decision.RESEND:
            values |= {"status": DeliveryStatus.RETRYING.value, "due_at": now}
        case Decision.MARK_SENT:
            values |= {"status": DeliveryStatus.SENT.value, "sent_at": now, "error": None}
        case Decision.FAIL:
            values |= {"status": DeliveryStatus.FAILED.value}
    outcome_unknown = (Delivery.doubt == UnknownOutcome.PERSON.value, Delivery.status == DeliveryStatus.SENDING.value)
    changed = session.execute(update(Delivery).where(Delivery.id == delivery_id, *outcome_unknown).values(**values))
    if not cast("CursorResult[Any]", changed).rowcount:
        return False
    owner = select(Delivery.notification_id, Delivery.batch_id).where(Delivery.id == delivery_id)
    notification_id, batch_id = session.execute(owner).one()
    told = f"{by} decided {_WORDS[decision]}."
    events.write(session, events.of_deliveries("decided", told, [(delivery_id, notification_id, batch_id)]))
    states.refresh(session, [] if notification_id is None else [notification_id])
    states.refresh_batches(session, {batch_id: None} if batch_id is not None else {})
    return True
