"""What the end of an obligation means for the messages that were sent for it: which are still to say how it ended.

An obligation that ends is to be followed up at once, and again while a message of it is still on its way, which may yet
arrive and ask for an answer: each time after half as long again, for a week.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

import msgspec
from sqlalchemy import ColumnElement, literal_column, select
from sqlalchemy.orm import Session

from backend.channels.base import Channel
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification
from backend.db.models.obligations import Obligation, ObligationState, ObligationStep
from backend.lib import clock

_CHUNK = 50
_FIRST = timedelta(seconds=20)
_LONGEST = timedelta(days=7)
_LONGEST_REASON = 300
_FOLLOWED = (Channel.SLACK.value, Channel.FRESHSERVICE.value)
_GIVEN = (DeliveryStatus.SENT.value, DeliveryStatus.DELIVERED.value)
_OVER = (DeliveryStatus.FAILED.value, DeliveryStatus.CANCELLED.value)
# Word for word as the partial index has it.
_IS_FOLLOWED: ColumnElement[bool] = literal_column("follow_up_at IS NOT NULL")


class Ending(msgspec.Struct, frozen=True):
    """How an obligation has ended, and its messages in chats and service desks that are to say so.

    ``sentence`` is None where nobody answered who could be named: what arrived asks for no answer. ``waiting`` tells
    that others are still on their way.
    """

    obligation: Obligation
    sentence: str | None
    posts: Sequence[Delivery]
    tickets: Sequence[Delivery]
    waiting: bool

    @property
    def is_told_otherwise(self) -> bool:
        """Tell whether its tickets know already: one was closed, or hears that its matter is resolved."""
        return self.obligation.closed_through in {"TICKET", "MATTER"}


def due(session: Session) -> Sequence[int]:
    """List obligations that are to be followed up: a look that locks nothing."""
    wanted = select(Obligation.id).where(_IS_FOLLOWED, Obligation.follow_up_at <= clock.now())
    return session.scalars(wanted.order_by(Obligation.follow_up_at, Obligation.id).limit(_CHUNK)).all()


def find(session: Session, identity: int) -> Ending:
    """Return how an obligation has ended, with those of its messages that do not say so yet."""
    owed = session.get_one(Obligation, identity)
    sent = session.scalars(
        select(Delivery)
        .join(Notification, Notification.id == Delivery.notification_id)
        .join(ObligationStep, ObligationStep.notification_uid == Notification.uid)
        .where(ObligationStep.obligation_id == identity, Delivery.type.in_(_FOLLOWED))
        .order_by(Delivery.id)
    ).all()
    left = [one for one in sent if one.id not in (owed.followed_up or ())]
    given = [one for one in left if one.status in _GIVEN]
    return Ending(
        owed,
        _sentence(owed),
        [one for one in given if one.type == Channel.SLACK],
        [one for one in given if one.type == Channel.FRESHSERVICE and one.provider_message_id and not one.meant_for],
        any(one.status not in (*_GIVEN, *_OVER) for one in left),
    )


def _sentence(owed: Obligation) -> str | None:
    if owed.state == ObligationState.MET.value and owed.met_at is not None:
        if owed.met_through == "RECEIPT":
            return None
        return f"Acknowledged by {owed.met_by}, {owed.met_at:%Y-%m-%d %H:%M} UTC"
    if owed.state == ObligationState.CLOSED.value and owed.ended_at is not None:
        said = f"Closed by {owed.closed_by}, {owed.ended_at:%Y-%m-%d %H:%M} UTC: {owed.closed_reason}"
        return said if len(said) <= _LONGEST_REASON else f"{said[: _LONGEST_REASON - 1]}…"
    return None


def begin(session: Session, ending: Ending) -> bool:
    """Hold an obligation's row while it is followed up; false where that was done, or it is open again, meanwhile."""
    found = ending.obligation
    own = (Obligation.id == found.id, Obligation.ended_at == found.ended_at, _IS_FOLLOWED)
    held = session.scalar(select(Obligation).where(*own).with_for_update().execution_options(populate_existing=True))
    return held is not None and held.follow_up_at == found.follow_up_at


def followed(session: Session, ending: Ending, deliveries: Collection[int]) -> None:
    """Write down which messages say how an obligation has ended, and when it is looked at again, if it is."""
    held, now = session.get_one(Obligation, ending.obligation.id), clock.now()
    held.followed_up = sorted({*(held.followed_up or ()), *deliveries})
    since = now - (held.ended_at or now)
    waiting = ending.waiting or not {one.id for one in (*ending.posts, *ending.tickets)} <= set(deliveries)
    held.follow_up_at = now + max(_FIRST, since / 2) if waiting and since < _LONGEST else None
    session.flush()
