"""The conservation ledger: of each service and day, what was accepted is found again in the rows, or it is lost.

The unit is the message as it was accepted, which is what usage counts: of a HIGH or NORMAL notification one for each
channel and address, of a BATCH one each membership in a batch, that is one for each channel and recipient. The one side
is usage; the other is counted from deliveries and from memberships in batches, each of which is in exactly one state.
What is sent in the mode ``test`` is on neither side.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, case, func, literal, or_, select, union_all
from sqlalchemy.orm import Session

from backend.db.models.accounts import Mode
from backend.db.models.batches import Batch, BatchMember, BatchStatus
from backend.db.models.notifications import Delivery, DeliveryStatus, Notification, Usage
from backend.delivery.outcomes import states
from backend.lib import clock, settings

# Transactions that run at once and clocks of several machines put rows out of order by seconds; this is plenty.
_SLACK = timedelta(hours=1)
_Since = Callable[[int], Select[int, datetime]] | Callable[[int], Select[int, datetime | None]]
DAYS = 2
ONE_DAY = timedelta(days=1)
# SQLite sorts in memory what a statement groups, some 50 bytes for each row, and the process keeps that memory.
_MOST_ROWS = 20_000
_NO_END = 2**63 - 1
ACCEPTED, LOST = "accepted", "lost"
DELIVERED, SENT, FAILED, CANCELLED, WAITING = "delivered", "sent", "failed", "cancelled", "waiting"
STATES = (DELIVERED, SENT, FAILED, CANCELLED, WAITING)
OF_DELIVERY = {
    DeliveryStatus.SCHEDULED: WAITING,
    DeliveryStatus.QUEUED: WAITING,
    DeliveryStatus.SENDING: WAITING,
    DeliveryStatus.RETRYING: WAITING,
    DeliveryStatus.SENT: SENT,
    DeliveryStatus.DELIVERED: DELIVERED,
    DeliveryStatus.FAILED: FAILED,
    DeliveryStatus.CANCELLED: CANCELLED,
}


# Where a day begins in tables that grow with time: rows are numbered as they are accepted.


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


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One service's day (UTC), in messages as accepted."""

    service_id: int
    day: date
    accepted: int
    delivered: int
    sent: int
    failed: int
    cancelled: int
    waiting: int

    @property
    def imbalance(self) -> int:
        """Return how many messages are in no state, or, below zero, in one without having been accepted."""
        return self.accepted - (self.delivered + self.sent + self.failed + self.cancelled + self.waiting)

    def describe(self) -> str:
        """Write the entry in one line of figures."""
        figures = " + ".join(f"{getattr(self, state)} {state}" for state in STATES)
        sign = "=" if not self.imbalance else "≠"
        return f"service {self.service_id} on {self.day}: {self.accepted} accepted {sign} {figures}"


def balance(session: Session, days: int = DAYS) -> list[Entry]:
    """Draw up the last ``days`` days, by service and day; a service without messages on a day has no entry.

    The cost grows with the messages of these days and not with the tables: rows before them are not visited. Where
    rows and usage differ, that day is counted again with nothing passed over, so that an imbalance is never one of
    the counting. Days of which retention may have deleted something are left out.
    """
    window = days_kept(days)
    if not window:
        return []
    quick = _entries(session, window, before(session, midnight(window[0])))
    uneven = sorted({entry.day for entry in quick if entry.imbalance})
    if not uneven:
        return quick
    sure = [entry for day in uneven for entry in _entries(session, [day], NONE)]
    return sorted(
        [entry for entry in quick if entry.day not in uneven] + sure, key=lambda entry: (entry.service_id, entry.day)
    )


def days_kept(days: int) -> list[date]:
    """List the last days, oldest first, that are wholly within the time that finished messages are kept."""
    kept_since = clock.now() - timedelta(days=settings.current().retention_days)
    last = clock.today()
    found = [last - ONE_DAY * back for back in reversed(range(days))]
    return [day for day in found if midnight(day) >= kept_since]


def midnight(day: date) -> datetime:
    """Return the moment at which a day begins, in UTC."""
    return datetime.combine(day, time(), UTC)


def _entries(session: Session, window: Sequence[date], floor: Floors) -> list[Entry]:
    counts: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    for statement in _statements(session, window, floor):
        for service, day, state, count in session.execute(statement):
            counts[service, day][state] += int(count)
    return [
        Entry(
            service_id=service,
            day=window[day],
            accepted=found[ACCEPTED],
            **{state: found[state] for state in STATES},
        )
        for (service, day), found in sorted(counts.items())
    ]


def _statements(session: Session, window: Sequence[date], floor: Floors) -> Iterator[Select[Any] | CompoundSelect[Any]]:
    """Give what counts usage and rows as of one moment, so that what is accepted or sent meanwhile disturbs nothing.

    On PostgreSQL, whose memory for counting does not grow with the rows, that is one statement; on SQLite, where all
    of a transaction sees the same, there is one for each so many rows.
    """
    if session.get_bind().dialect.name != "sqlite":
        parts = _deliveries(window, range(floor.delivery, _NO_END)), _memberships(window, range(floor.member, _NO_END))
        yield union_all(_usage(window), *parts)
        return
    yield _usage(window)
    for some in _pieces(session, Delivery.id, floor.delivery):
        yield _deliveries(window, some)
    for some in _pieces(session, BatchMember.id, floor.member):
        yield _memberships(window, some)


def _pieces(session: Session, key: Any, floor: int) -> Iterator[range]:
    """Cut the ids from ``floor`` on into ranges."""
    found = ids(session, key)
    for start in range(max(floor, found.start), found.stop, _MOST_ROWS):
        yield range(start, start + _MOST_ROWS)


def _in_days(key: Any, some: range) -> ColumnElement[bool]:
    return and_(key >= some.start, key < some.stop)


def _usage(window: Sequence[date]) -> Select[Any]:
    day_index = case({day: number for number, day in enumerate(window)}, value=Usage.day)
    return (
        select(Usage.service_id, day_index, literal(ACCEPTED), func.sum(Usage.count))
        .where(Usage.day.in_(window))
        .group_by(Usage.service_id, Usage.day)
    )


def _day_of(moment: Any, window: Sequence[date]) -> tuple[ColumnElement[int], ColumnElement[bool]]:
    """Return in SQL which day of the window a moment is in, and whether it is in one."""
    ends = [midnight(day + ONE_DAY) for day in window]
    day_index = case(*((moment < end, number) for number, end in enumerate(ends)), else_=-1)
    return day_index, and_(moment >= midnight(window[0]), moment < ends[-1])


def _deliveries(window: Sequence[date], some: range) -> Select[Any]:
    """Count deliveries of notifications; one is made when its notification is accepted, with the same moment."""
    day_index, inside = _day_of(Delivery.created_at, window)
    state = case({status.value: state for status, state in OF_DELIVERY.items()}, value=Delivery.status, else_=LOST)
    kinds = select(Delivery.service_id, day_index.label("day_index"), state.label("state")).where(
        _in_days(Delivery.id, some), Delivery.notification_id.is_not(None), Delivery.mode != Mode.TEST.value, inside
    )
    return _counted(kinds)


def _counted(kinds: Select[Any]) -> Select[Any]:
    rows = kinds.subquery()
    return select(rows.c.service_id, rows.c.day_index, rows.c.state, func.count()).group_by(
        rows.c.service_id, rows.c.day_index, rows.c.state
    )


def _memberships(window: Sequence[date], some: range) -> Select[Any]:
    """Count memberships in batches by what became of the batch, which its deliveries say once it is dispatched."""
    day_index, inside = _day_of(Notification.accepted_at, window)
    dispatched = select(BatchMember.batch_id).where(_in_days(BatchMember.id, some))
    fates = _fates(dispatched).subquery()
    undispatched = Batch.status.in_([BatchStatus.OPEN.value, BatchStatus.CLOSED.value])
    # Without deliveries a batch can only have failed before any was made; else they have been lost.
    without = case((Batch.status == BatchStatus.FAILED.value, FAILED), else_=LOST)
    state = case(
        (or_(BatchMember.removed_at.is_not(None), Batch.status == BatchStatus.CANCELLED.value), CANCELLED),
        (undispatched, WAITING),
        else_=func.coalesce(fates.c.state, without),
    )
    kinds = (
        select(Notification.service_id, day_index.label("day_index"), state.label("state"))
        .select_from(BatchMember)
        .join(Notification, Notification.id == BatchMember.notification_id)
        .join(Batch, Batch.id == BatchMember.batch_id)
        .outerjoin(fates, fates.c.batch_id == Batch.id)
        .where(_in_days(BatchMember.id, some), Notification.mode != Mode.TEST.value, inside)
    )
    return _counted(kinds)


def _fates(batches: Select[Any]) -> Select[Any]:
    """Sum up the deliveries of each batch; one that reached only some of its addresses counts as failed."""

    def least(*statuses: DeliveryStatus) -> ColumnElement[int]:
        return func.min(case((Delivery.status.in_([status.value for status in statuses]), 1), else_=0))

    unfinished = case((Delivery.status.in_(sorted(status.value for status in states.UNFINISHED)), 1), else_=0)
    gone = DeliveryStatus.CANCELLED
    state = case(
        (func.max(unfinished) == 1, WAITING),
        (least(gone) == 1, CANCELLED),
        (least(DeliveryStatus.DELIVERED, gone) == 1, DELIVERED),
        (least(DeliveryStatus.SENT, DeliveryStatus.DELIVERED, gone) == 1, SENT),
        else_=FAILED,
    )
    return (
        select(Delivery.batch_id, state.label("state"))
        .where(Delivery.batch_id.in_(batches))
        .group_by(Delivery.batch_id)
    )
