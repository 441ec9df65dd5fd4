"""Where a day begins in tables that grow with time: rows are numbered as they are accepted."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from backend.db.models.batches import BatchMember
from backend.db.models.notifications import Delivery, Notification

# Transactions that run at once and clocks of several machines put rows out of order by seconds; this is plenty.
_SLACK = timedelta(hours=1)


_Since = Callable[[int], Select[int, datetime]] | Callable[[int], Select[int, datetime | None]]


class Floors(msgspec.Struct, frozen=True):
    """The ids below which there is nothing newer than some moment, of deliveries and of memberships in batches."""

    delivery: int
    member: int


NONE = Floors(0, 0)


def before(session: Session, moment: datetime) -> Floors:
    """Find the floors for what was accepted since ``moment``: some thirty short looks into each primary key.

    A clock that was set back by more than an hour can make a floor too high.
    """

    def delivery_since(identity: int) -> Select[int, datetime]:
        return select(Delivery.id, Delivery.created_at).where(
            Delivery.id >= identity, Delivery.notification_id.is_not(None)
        )

    def member_since(identity: int) -> Select[int, datetime | None]:
        joined = select(BatchMember.id, Notification.accepted_at).join(
            Notification, Notification.id == BatchMember.notification_id
        )
        return joined.where(BatchMember.id >= identity)

    early = moment - _SLACK
    return Floors(
        _first(session, Delivery.id, delivery_since, early), _first(session, BatchMember.id, member_since, early)
    )


def ids(session: Session, key: Any) -> range:
    """Return the ids of a table from its first row to its last; those between need not all be taken."""
    # Each asked for by itself: together they would have SQLite read an index from end to end.
    ends = select(select(func.min(key)).scalar_subquery(), select(func.max(key)).scalar_subquery())
    first, last = session.execute(ends).one()
    return range(0) if first is None else range(first, last + 1)


def _first(session: Session, key: Any, since: _Since, moment: datetime) -> int:
    """Search by halves for the first row that is not older than ``moment``."""
    found = ids(session, key)
    low, high = found.start, found.stop
    while low < high:
        middle = (low + high) // 2
        row = session.execute(since(middle).order_by(key).limit(1)).first()
        if row is None or row[1] is None or row[1] >= moment:
            high = middle
        else:
            low = row[0] + 1
    return int(low)
