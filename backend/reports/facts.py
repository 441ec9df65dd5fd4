"""What a row of a list says of a notification: its subject, whom it goes to, and why it failed."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

import msgspec
from sqlalchemy import Table, case, func, select
from sqlalchemy.orm import Session

from backend.channels.addresses import masked
from backend.db.models.batches import Batch, BatchMember
from backend.db.models.notifications import Delivery, DeliveryStatus, NotificationStatus
from backend.db.statements import listed
from backend.delivery.outcomes import causes
from backend.delivery.outcomes.record import OUTBOX
from backend.lib import pointers
from backend.reports.model import Fault
from backend.search import documents

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


NONE = Facts()
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


def of(session: Session, rows: Sequence[Any], subjects: Mapping[int, str] | None = None) -> dict[int, Facts]:
    """Return the facts of notifications, given as rows with ``id``, ``status`` and ``problem``, by their ids.

    ``subjects`` are given where they are known already.
    """
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
        row.id: _facts(row, subjects.get(row.id), counted.get(row.id), messages, batches.get(row.id)) for row in rows
    }


def _facts(
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
