"""Messages that nobody needs any more: steps of obligations that ended before they left.

A step's message may be queued or wait for another try while somebody answers by another way. It is looked at as it is
claimed, so that nothing leaves after what had been answered before.
"""

from sqlalchemy import update
from sqlalchemy.orm import Session

from backend.db import events
from backend.db.models.notifications import Delivery, DeliveryStatus
from backend.delivery.outcomes import states
from backend.delivery.queueing.claims import Claim
from backend.obligations import goals


def drop(session: Session, taken: list[Claim]) -> list[Claim]:
    """Return those claims that are still needed; the others are cancelled, in the transaction that has claimed them.

    That of which nobody knows whether it was sent before is asked for all the same.
    """
    owed = {one.notification_id for one in taken if one.until and one.notification_id and not one.doubt}
    ended = goals.needless(session, owed) if owed else set()
    if not ended:
        return taken
    over = [one for one in taken if one.notification_id in ended and not one.doubt]
    values = {"status": DeliveryStatus.CANCELLED.value, "claimed_by": None, "error": None}
    cancelled = update(Delivery).where(Delivery.id.in_([one.id for one in over])).values(**values)
    session.execute(cancelled.execution_options(synchronize_session=False))
    events.write(
        session,
        events.of_deliveries("cancelled", goals.NEEDLESS, [(one.id, one.notification_id, None) for one in over]),
    )
    states.refresh(session, {one.notification_id for one in over if one.notification_id is not None})
    gone = {one.id for one in over}
    return [one for one in taken if one.id not in gone]
