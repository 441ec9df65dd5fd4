"""What a row of a list says of a notification: its subject, whom it goes to, why it failed, and what it waits for."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, cast
from uuid import UUID

import msgspec
from sqlalchemy import Table, case, func, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import FINAL, Delivery, DeliveryStatus, Notification, NotificationStatus
from backend.db.statements import listed
from backend.delivery.outcomes import causes, waits
from backend.delivery.outcomes.record import OUTBOX
from backend.delivery.outcomes.waits import WaitReport
from backend.lib import pointers
from backend.reports.model import Fault, PriorityName, priority_name
from backend.search import documents
from backend.search.asked import Part, parts_of
from backend.search.hits import Match
from backend.search.pages import Hits

_LONGEST = 300
_FAILED = frozenset({NotificationStatus.FAILED.value, NotificationStatus.PARTIAL.value})


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a row says. ``address`` is there if it goes to one alone; ``addresses`` counts them, 0 for none yet.

    ``words`` are for people, in place of ``error``, where there are better ones; ``kept`` tells that all of it lies in
    the outbox and none has gone.
    """

    subject: str | None = None
    address: str | None = None
    addresses: int = 0
    error: str | None = None
    words: str | None = None
    kept: bool = False


class Line(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One notification in a list.

    ``content`` is what it asked for, as canonical JSON; ``send_at`` is the moment that it asked for, None for at once;
    ``waits`` is what else keeps it from leaving. ``matches`` tells where it has what was searched for.
    """

    id: int
    uid: UUID
    status: str
    mode: str
    priority: PriorityName
    aggregator_id: str | None
    content: str | None
    created_at: datetime
    updated_at: datetime
    send_at: datetime | None
    facts: Facts
    waits: WaitReport | None
    matches: Sequence[Match]

    @cached_property
    def parts(self) -> list[Part]:
        """Read what it asks for of each channel: nothing of one that was refused because it had no readable shape."""
        return parts_of(self.content)

    @property
    def due_at(self) -> datetime | None:
        """Return when it is due, while it waits for its moment."""
        if self.status != NotificationStatus.SCHEDULED:
            return None
        return self.send_at if self.waits is None else self.waits.until

    @property
    def title(self) -> str:
        """Return its subject, or else what it was made from."""
        return title(self.facts.subject, self.parts)

    @property
    def title_parts(self) -> list[tuple[str, bool]]:
        """Return the title in pieces, each of which was searched for or was not."""
        hits = {one.hit for one in self.matches if one.where == "subject"}
        if not hits:
            return [(self.title, False)]
        either = re.compile("|".join(map(re.escape, sorted(hits, key=len, reverse=True))))
        found = [*either.findall(self.title), ""]
        pairs = zip(either.split(self.title), found, strict=True)
        return [piece for plain, hit in pairs for piece in ((plain, False), (hit, True)) if piece[0]]

    @property
    def final(self) -> bool:
        """Tell whether its status is not expected to change by itself."""
        return self.status in FINAL


def title(subject: str | None, parts: Sequence[Part]) -> str:
    """Return what a notification is called: its subject, or else the template that it was made from."""
    return subject or next((one.template_id for one in parts if one.template_id), "Unreadable request")


# What is read of a notification for a line.
COLUMNS = (
    Notification.id,
    Notification.uid,
    Notification.status,
    Notification.mode,
    Notification.priority,
    Notification.aggregator_id,
    Notification.content,
    Notification.problem,
    Notification.created_at,
    Notification.updated_at,
    Notification.send_at,
)


def of(session: Session, rows: Sequence[Any], hits: Hits | None = None) -> list[Line]:
    """Return the lines of notifications, given as rows of ``COLUMNS``, in their order; ``hits`` found them."""
    facts = _facts(session, rows, hits.subjects if hits else None)
    held = waits.of_notifications(session, [row.id for row in rows if row.status == NotificationStatus.SCHEDULED])
    matches = hits.matches if hits else {}
    return [
        Line(
            id=row.id,
            uid=row.uid,
            status=row.status,
            mode=row.mode,
            priority=priority_name(row.priority),
            aggregator_id=row.aggregator_id,
            content=row.content,
            created_at=row.created_at,
            updated_at=row.updated_at,
            send_at=row.send_at,
            facts=facts[row.id],
            waits=held.get(row.id),
            matches=matches.get(row.id, ()),
        )
        for row in rows
    ]


_deliveries = cast("Table", Delivery.__table__).c
_members = cast("Table", BatchMember.__table__).c
_failed = case((_deliveries.status == DeliveryStatus.FAILED.value, _deliveries.id))
_kept = case((_deliveries.provider == OUTBOX, _deliveries.id))
_COUNTED = (func.count(), func.min(_deliveries.id), func.min(_failed), func.count(_kept))
_OWN = (
    select(_deliveries.notification_id, *_COUNTED)
    .where(listed(_deliveries.notification_id, "rows"))
    .group_by(_deliveries.notification_id)
)
_BATCHED = (
    select(_members.notification_id, *_COUNTED)
    .join(Delivery, _deliveries.batch_id == _members.batch_id)
    .where(listed(_members.notification_id, "rows"), _members.removed_at.is_(None))
    .group_by(_members.notification_id)
)
_MESSAGES = select(_deliveries.id, _deliveries.type, _deliveries.address, _deliveries.error).where(
    listed(_deliveries.id, "rows")
)


def _facts(session: Session, rows: Sequence[Any], subjects: Mapping[int, str] | None) -> dict[int, Facts]:
    """Return the facts of notifications by their rows; ``subjects`` are given where they are known already."""
    identities = [row.id for row in rows]
    if not identities:
        return {}
    subjects = documents.subjects_of(session, identities) if subjects is None else subjects
    counted = {row: counts for row, *counts in session.execute(_OWN, {"rows": identities})}
    others = [row for row in identities if row not in counted]
    if others:
        counted |= {row: counts for row, *counts in session.execute(_BATCHED, {"rows": others})}
    wanted = {one for _, first, failed, _ in counted.values() for one in (first, failed) if one is not None}
    messages = {one.id: one for one in session.execute(_MESSAGES, {"rows": list(wanted)})}
    batches = _errors_of_batches(session, [row.id for row in rows if row.status in _FAILED])
    return {
        row.id: _told(row, subjects.get(row.id), counted.get(row.id), messages, batches.get(row.id)) for row in rows
    }


def _told(
    row: Any, subject: str | None, counts: Sequence[int | None] | None, messages: Mapping[int, Any], batch: str | None
) -> Facts:
    count, first, failed, kept = counts or (0, None, None, 0)
    error = row.problem["detail"] if row.problem is not None else batch
    failure = messages.get(failed) if failed is not None else None
    if error is None and row.status in _FAILED and failure is not None:
        error = failure.error or "No reason was given."
    only = messages.get(first) if count == 1 and first is not None else None
    return Facts(
        subject=subject,
        address=masked(only.type, only.address) if only is not None else None,
        addresses=count or 0,
        error=error[:_LONGEST] if error else None,
        words=_words(row.problem, failure, error),
        kept=bool(count) and kept == count,
    )


def _words(problem: Mapping[str, Any] | None, failure: Any, error: str | None) -> str | None:
    """Say for people why it was refused, or what a mail server meant before what it said."""
    if problem is not None:
        fault = msgspec.convert(problem, Fault)
        return pointers.refusal(fault.detail, fault.errors)[:_LONGEST]
    cause = causes.of_mail(failure.type, error) if failure is not None else None
    return f"{cause.why} {error}"[:_LONGEST] if cause else None


def _errors_of_batches(session: Session, rows: Collection[int]) -> dict[int, str]:
    """Return why the batches failed that these notifications are in, where they did by themselves."""
    if not rows:
        return {}
    found = (
        select(BatchMember.notification_id, Batch.error)
        .join(Batch, Batch.id == BatchMember.batch_id)
        .where(BatchMember.notification_id.in_(rows), BatchMember.removed_at.is_(None), Batch.error.is_not(None))
    )
    return {row: error for row, error in session.execute(found) if error}
