"""Lists of what was searched for: found by the index, filtered, compared, newest first, page by page."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, Table, select
from sqlalchemy.orm import Session

from backend.db.models.batches import BatchMember
from backend.db.models.jobs import Job
from backend.db.models.notifications import Delivery, Notification
from backend.db.statements import listed
from backend.search import documents, find, hits
from backend.search.asked import parts_of
from backend.search.hits import Match, Texts, Where
from backend.search.query import Query

# So many are compared for one page.
_MOST_COMPARED = 500
# Beyond so many messages of the notifications of one step, they are not compared by their addresses.
_MOST_MESSAGES = 5_000
_MOST_NAMED = 100
_ALL_DIGITS = 32

_notifications = cast("Table", Notification.__table__).c
_COMPARED = (
    _notifications.id,
    _notifications.uid,
    _notifications.aggregator_id,
    _notifications.content,
    _notifications.job_id,
)

_UIDS = select(_notifications.id, _notifications.uid).where(listed(_notifications.id, "rows"))


class Search(msgspec.Struct, frozen=True):
    """What is searched for among a service's notifications, and the conditions that they have to fit besides."""

    service_id: int
    query: Query
    conditions: Sequence[ColumnElement[bool]] = ()


class Hits(msgspec.Struct, frozen=True):
    """A page of what was found: rows of notifications, newest first, each with the places where they matched.

    ``subjects`` are theirs, as they were rendered. ``next`` is the row behind which the next page begins, if there may
    be one.
    """

    matches: dict[int, list[Match]]
    subjects: dict[int, str]
    next: int | None


def page(session: Session, search: Search, *, before: int | None, size: int) -> Hits:
    """Find notifications behind the row ``before``, up to ``size`` of them."""
    query = search.query
    named = _named(session, query)
    found = find.find(session, search.service_id, query, before=before, page=size + 1)
    edge = found.reached or 0
    named = {row: ids for row, ids in named.items() if (before is None or row < before) and row >= edge}
    rows = {*_with_digits(session, query, found.rows), *named}
    # The sum keeps SQLite from going through all of the service's instead.
    own = (listed(_notifications.id, "rows"), _notifications.service_id + 0 == search.service_id)
    fitting = select(*_COMPARED).where(*own, *search.conditions).order_by(_notifications.id.desc()).limit(size + 1)
    matches: dict[int, list[Match]] = {}
    subjects: dict[int, str] = {}
    for offset in range(0, _MOST_COMPARED, size + 1):
        some = session.execute(fitting.offset(offset), {"rows": list(rows)}).all() if rows else []
        compared, known = _compared(session, query, some, named)
        matches, subjects = matches | compared, subjects | known
        if len(matches) > size:
            kept = dict(list(matches.items())[:size])
            return Hits(kept, subjects, next(reversed(kept)))
        if len(some) <= size:
            return Hits(matches, subjects, found.reached)
    return Hits(matches, subjects, some[-1].id)


def _with_digits(session: Session, query: Query, rows: Sequence[int]) -> Sequence[int]:
    """Leave out what has the parts of an id in another order: most of what the index finds by one part or two."""
    digits = query.digits
    if digits is None or not rows:
        return rows
    uids = dict(session.execute(_UIDS, {"rows": list(rows)}).tuples().all())
    others = {row for row, uid in uids.items() if digits not in uid.hex}
    return [*(uids.keys() - others), *find.having(session, query.without_ids, others)]


def _named(session: Session, query: Query) -> dict[int, list[tuple[Where, str]]]:
    """Look up what is an id as a whole, or the beginning of a notification's: these are found at once."""
    found: dict[int, list[tuple[Where, str]]] = {}
    text = query.names
    if text is None or query.address is not None:
        return found
    by_provider = select(Delivery.id).where(Delivery.provider_message_id == text)
    for row in _of_deliveries(session, by_provider):
        found.setdefault(row, []).append(("provider_message_id", text))
    digits = query.digits
    if digits is None:
        return found
    low, high = UUID(digits.ljust(_ALL_DIGITS, "0")), UUID(digits.ljust(_ALL_DIGITS, "f"))
    # What begins so is found first, of whatever service: few, by the index of ids.
    for row in session.scalars(select(Notification.id).where(Notification.uid.between(low, high)).limit(_MOST_NAMED)):
        found.setdefault(row, [])
    if len(digits) == _ALL_DIGITS:
        for row in _of_deliveries(session, select(Delivery.id).where(Delivery.uid == low)):
            found.setdefault(row, []).append(("delivery_id", text))
    return found


def _of_deliveries(session: Session, wanted: Any) -> Iterator[int]:
    """Give the notifications of deliveries: their own, or those of their batches."""
    identities = session.scalars(wanted.limit(_MOST_NAMED)).all()
    if not identities:
        return
    columns = select(Delivery.notification_id, Delivery.batch_id).where(Delivery.id.in_(identities))
    for notification_id, batch_id in session.execute(columns):
        if notification_id is not None:
            yield notification_id
        else:
            members = select(BatchMember.notification_id).where(BatchMember.batch_id == batch_id)
            yield from session.scalars(members.where(BatchMember.removed_at.is_(None)))


def _compared(
    session: Session, query: Query, rows: Sequence[Any], named: Mapping[int, Sequence[tuple[Where, str]]]
) -> tuple[dict[int, list[Match]], dict[int, str]]:
    """Return where those match that really do, in the order of ``rows``, and the subjects of all."""
    identities = [row.id for row in rows]
    subjects = documents.subjects_of(session, identities)
    sent = documents.messages(session, identities, _MOST_MESSAGES)
    whole = sum(map(len, sent.values())) < _MOST_MESSAGES
    jobs = _jobs(session, {row.job_id for row in rows if row.job_id is not None})
    compared = {}
    for row in rows:
        texts = Texts(
            uid=row.uid,
            subject=subjects.get(row.id),
            aggregator_id=row.aggregator_id,
            job=jobs.get(row.job_id),
            parts=parts_of(row.content),
            sent=sent[row.id],
            whole=whole,
            named=named.get(row.id, ()),
        )
        found = hits.matches(query, texts)
        if found is not None:
            compared[row.id] = found
    return compared, subjects


def _jobs(session: Session, identities: set[int]) -> dict[int, str]:
    if not identities:
        return {}
    return {row.id: row.name for row in session.execute(select(Job.id, Job.name).where(Job.id.in_(identities)))}
