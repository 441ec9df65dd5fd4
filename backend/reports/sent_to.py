"""The messages to an address: found by its word in the index of searching, for which accepting does not wait."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence

import msgspec
from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.orm import Session

from backend.db.models.batches import BatchMember
from backend.db.models.notifications import Delivery, Notification
from backend.db.models.search import SearchProgress
from backend.search import find
from backend.search.query import Query

# Of the notifications whose words are still to be gathered so many are looked at, the newest.
_FRESH = 2_000
_AT_ONCE = 200


class Sent(msgspec.Struct, frozen=True):
    """Messages, newest first; ``older`` is the row of the notification behind which there may be more."""

    deliveries: list[Delivery]
    older: int | None


def page(session: Session, service_id: int, address: str, *, before: int | None, size: int) -> Sent:
    """Read the newest messages of a service to an address, in canonical form and with whatever options behind it.

    ``before`` is the row of a notification: those behind it are read, until there are ``size`` messages.
    """
    found = find.find(session, service_id, Query(address=address), before=before, page=size + 1)
    rows = sorted({*found.rows, *_fresh(session, service_id, before)}, reverse=True)
    deliveries: list[Delivery] = []
    for first in range(0, len(rows), _AT_ONCE):
        some = rows[first : first + _AT_ONCE]
        sent = _sent(session, some, _to(address))
        for row in some:
            deliveries += sent[row]
            if len(deliveries) >= size and row != rows[-1]:
                return Sent(deliveries, row)
    return Sent(deliveries, found.reached)


def _fresh(session: Session, service_id: int, before: int | None) -> Sequence[int]:
    """Return the newest notifications of which the index may know nothing yet."""
    gathered = select(SearchProgress.watermark).scalar_subquery()
    wanted = select(Notification.id).where(Notification.service_id == service_id, Notification.id > gathered)
    if before is not None:
        wanted = wanted.where(Notification.id < before)
    return session.scalars(wanted.order_by(Notification.id.desc()).limit(_FRESH)).all()


def _to(address: str) -> ColumnElement[bool]:
    return or_(Delivery.address == address, Delivery.address.startswith(f"{address};", autoescape=True))


def _sent(session: Session, rows: Collection[int], wanted: ColumnElement[bool]) -> defaultdict[int, list[Delivery]]:
    """Return the messages of notifications; that of a batch is of the newest of its notifications alone."""
    found: defaultdict[int, list[Delivery]] = defaultdict(list)
    own = select(Delivery).where(Delivery.notification_id.in_(rows), wanted).order_by(Delivery.id.desc())
    for one in session.scalars(own):
        found[one.notification_id or 0].append(one)
    newest = dict(_newest_members(session, rows))
    theirs = select(Delivery).where(Delivery.batch_id.in_(newest), wanted).order_by(Delivery.id.desc())
    for one in session.scalars(theirs) if newest else ():
        found[newest[one.batch_id or 0]].append(one)
    return found


def _newest_members(session: Session, rows: Collection[int]) -> Iterator[tuple[int, int]]:
    """Give the batches that any of these is the newest of, each with it."""
    kept = BatchMember.removed_at.is_(None)
    of_any = select(BatchMember.batch_id).where(BatchMember.notification_id.in_(rows), kept).distinct()
    newest = select(BatchMember.batch_id, func.max(BatchMember.notification_id)).where(kept)
    for batch_id, row in session.execute(newest.where(BatchMember.batch_id.in_(of_any)).group_by(BatchMember.batch_id)):
        if row in rows:
            yield batch_id, row
