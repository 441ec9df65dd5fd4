"""How much waits, where and since when: the state of the installation, read from its database and queue."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import Any

import msgspec
from sqlalchemy import and_, func, literal_column, select
from sqlalchemy.orm import Session

from backend.db.leases import LENGTH
from backend.db.models.batches import Batch, BatchStatus
from backend.db.models.notifications import WAITING, Delivery, DeliveryStatus, Priority
from backend.db.models.operations import Worker
from backend.db.statements import one_of
from backend.delivery.outcomes.unknown_outcome import UnknownOutcome
from backend.lib import clock


class Depths(msgspec.Struct, frozen=True, kw_only=True):
    """What waits at one moment.

    ``queued`` and ``retrying`` count deliveries by priority, ``oldest_seconds`` is by how much the longest due of them
    is overdue, zero if none is. ``sending`` are claimed by workers. ``outcome_unknown`` wait for a person to say what
    became of them, the oldest for ``unknown_seconds``. ``workers`` counts those whose heartbeat is fresh,
    ``silent_workers`` the others; ``heartbeat_seconds`` is the age of the oldest heartbeat.
    """

    queued: Mapping[Priority, int]
    retrying: Mapping[Priority, int]
    oldest_seconds: Mapping[Priority, float]
    sending: int
    outcome_unknown: int
    unknown_seconds: float
    open_batches: int
    full_batches: int
    workers: int
    silent_workers: int
    heartbeat_seconds: float

    @property
    def waiting(self) -> int:
        """Count the deliveries that wait for their first or next try."""
        return sum(self.queued.values()) + sum(self.retrying.values())


def measure(session: Session) -> Depths:
    """Read the present depths; each statement is answered by an index of the rows that wait, not by the tables."""
    now = clock.now()
    waiting = _waiting(session)
    batches = _batches(session)
    outcome_unknown, since = _of_unknown_outcome(session)
    beats = session.scalars(select(Worker.seen_at)).all()
    fresh = sum(seen_at >= now - LENGTH for seen_at in beats)
    return Depths(
        queued=_counted(waiting, DeliveryStatus.QUEUED),
        retrying=_counted(waiting, DeliveryStatus.RETRYING),
        oldest_seconds={priority: _overdue(waiting, priority, now) for priority in Priority},
        sending=_sending(session),
        outcome_unknown=outcome_unknown,
        unknown_seconds=max(0.0, (now - (since or now)).total_seconds()),
        open_batches=batches.get(BatchStatus.OPEN, 0),
        full_batches=batches.get(BatchStatus.CLOSED, 0),
        workers=fresh,
        silent_workers=len(beats) - fresh,
        heartbeat_seconds=max((0.0, *((now - seen_at).total_seconds() for seen_at in beats))),
    )


_IS_WAITING = one_of(Delivery.status, WAITING)


_Waiting = dict[tuple[Priority, DeliveryStatus], tuple[int, datetime]]


def _waiting(session: Session) -> _Waiting:
    """Count what waits by priority and status, each with the moment when the first of it is due."""
    # With a GROUP BY, SQLite would sort all that waits, in memory that the process then keeps.
    kinds = list(product(Priority, WAITING))
    own = [and_(Delivery.priority == priority.value, Delivery.status == status.value) for priority, status in kinds]
    counts = [func.count().filter(each) for each in own]
    firsts = [func.min(Delivery.due_at).filter(each) for each in own]
    row: Sequence[Any] = session.execute(select(*counts, *firsts).where(_IS_WAITING)).one()
    found = zip(kinds, row[: len(kinds)], row[len(kinds) :], strict=True)
    return {kind: (count, due) for kind, count, due in found if count}


def _counted(waiting: _Waiting, status: DeliveryStatus) -> dict[Priority, int]:
    return {priority: waiting[priority, status][0] if (priority, status) in waiting else 0 for priority in Priority}


def _overdue(waiting: _Waiting, priority: Priority, now: datetime) -> float:
    oldest = min((due for (one, _), (_, due) in waiting.items() if one is priority), default=now)
    return max(0.0, (now - oldest).total_seconds())


def _sending(session: Session) -> int:
    held = select(func.count()).where(Delivery.claimed_by.is_not(None), Delivery.status == DeliveryStatus.SENDING.value)
    return session.scalar(held) or 0


def _of_unknown_outcome(session: Session) -> tuple[int, datetime | None]:
    """Count what waits for a person, with the moment since when the first of it does."""
    # Written into the statement, or SQLite would not take the index that holds nothing else.
    is_outcome_unknown = Delivery.doubt == literal_column(f"'{UnknownOutcome.PERSON.value}'")
    count, since = session.execute(select(func.count(), func.min(Delivery.due_at)).where(is_outcome_unknown)).one()
    return count, since


def _batches(session: Session) -> dict[BatchStatus, int]:
    waiting = one_of(Batch.status, (BatchStatus.OPEN, BatchStatus.CLOSED))
    rows = session.execute(select(Batch.status, func.count()).where(waiting).group_by(Batch.status))
    return {BatchStatus(status): count for status, count in rows}
