"""Lists as they are exported: all rows with the list's filters, read page by page, so that nobody waits for them."""

import json
from collections.abc import Collection, Iterator
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import audit_log as log
from backend.channels.addresses import masked
from backend.db import database as db
from backend.db.models.notifications import Delivery, Notification
from backend.lib import clock
from backend.lib.tables import Cell
from backend.registry import csv_recipients, suppressions
from backend.reports import listing
from backend.reports.listing import Line
from backend.reports.notifications import Filter

# So many rows are read at once, each time by a short transaction of its own.
_AT_ONCE = 500


class Table(msgspec.Struct, frozen=True):
    """The columns of a list, and its rows as they are asked for."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Cell, ...]]


def notifications(service_id: int, wanted: Filter) -> Table:
    """Give a service's notifications, the newest first; a line each, with what it asks for and what failed of it."""
    columns = (
        "notification_id",
        "status",
        "priority",
        "channels",
        "subject",
        "template_id",
        "recipients",
        "addresses",
        "why_failed",
        "aggregator_id",
        "created_at",
    )
    return Table(columns, _notifications(service_id, wanted))


def _notifications(service_id: int, wanted: Filter) -> Iterator[tuple[Cell, ...]]:
    before = None
    while True:
        with db.current().read() as session:
            found = listing.page(session, service_id, wanted, before=before, size=_AT_ONCE)
            addresses, errors = _beside(session, [line.uid for line in found.lines])
        for line in found.lines:
            yield _line(line, addresses.get(line.uid, []), errors.get(line.uid, []))
        if found.older is None:
            return
        before = found.older


def _beside(session: Session, uids: Collection[UUID]) -> tuple[dict[UUID, list[str]], dict[UUID, list[str]]]:
    """Read the addresses of notifications, as they may be shown, and why their messages or they themselves failed."""
    addresses: dict[UUID, list[str]] = {}
    errors: dict[UUID, list[str]] = {}
    columns = (Notification.uid, Delivery.type, Delivery.address, Delivery.error)
    own = select(*columns).join(Delivery, Delivery.notification_id == Notification.id)
    for uid, kind, address, error in session.execute(own.where(Notification.uid.in_(uids)).order_by(Delivery.id)):
        addresses.setdefault(uid, []).append(masked(kind, address))
        if error:
            errors.setdefault(uid, []).append(error)
    refused = select(Notification.uid, Notification.problem).where(
        Notification.uid.in_(uids), Notification.problem.is_not(None)
    )
    errors |= {uid: [str(problem["detail"])] for uid, problem in session.execute(refused) if problem}
    return addresses, errors


def _line(line: Line, addresses: list[str], errors: list[str]) -> tuple[Cell, ...]:
    first = line.parts[0] if line.parts else None
    return (
        str(line.uid),
        line.status,
        line.priority,
        " ".join(dict.fromkeys(part.type for part in line.parts)),
        (first.subject or "") if first else "",
        first.template_id if first else "",
        " ".join(dict.fromkeys(name for part in line.parts for name in part.recipient)),
        " ".join(dict.fromkeys(addresses)),
        " | ".join(dict.fromkeys(errors)),
        line.aggregator_id or "",
        clock.iso(line.created_at),
    )


def suppressed(service_id: int) -> Table:
    """Give a service's suppressed addresses, the latest first."""
    return Table(("channel", "address", "reason", "detail", "since"), _suppressed(service_id))


def _suppressed(service_id: int) -> Iterator[tuple[Cell, ...]]:
    after = None
    while True:
        with db.current().read() as session:
            found = suppressions.page(session, service_id, _AT_ONCE, after)
        for _, one in found:
            yield one.channel.value, one.address, one.reason, one.detail, clock.iso(one.since)
        if len(found) < _AT_ONCE:
            return
        after = found[-1][0]


def audit_log(wanted: log.Filter) -> Table:
    """Give the entries of the audit log that fit, the newest first."""
    return Table(("at", "who", "kind", "action", "subject", "detail"), _audit_log(wanted))


def _audit_log(wanted: log.Filter) -> Iterator[tuple[Cell, ...]]:
    with db.current().read() as session:
        for one in log.everything(session, wanted):
            detail = json.dumps(one.detail, ensure_ascii=False) if one.detail else ""
            yield clock.iso(one.at), one.actor, one.actor_kind, one.action, one.subject, detail


def recipients(service_id: int) -> Table:
    """Give a service's recipients, a line for each address, in the columns in which they can be imported."""
    return Table(csv_recipients.COLUMNS, _recipients(service_id))


def _recipients(service_id: int) -> Iterator[tuple[Cell, ...]]:
    with db.current().read() as session:
        yield from csv_recipients.rows(session, service_id)
