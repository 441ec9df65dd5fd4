"""Lists as they are exported: all rows with the list's filters, read page by page, so that nobody waits for them."""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from functools import reduce
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.accounts import administration, clients, group_roles, members, organisations, services
from backend.accounts import audit_log as log
from backend.batching import report as batch_reports
from backend.channels.addresses import masked
from backend.db import database as db
from backend.db.models.accounts import Service
from backend.db.models.notifications import Delivery, Notification
from backend.lib import clock, settings
from backend.lib.tables import Cell
from backend.monitoring import usage
from backend.obligations import report as obligation_reports
from backend.registry import csv_recipients, suppressions, template_lists
from backend.registry import policies as registered
from backend.reports import address, failing
from backend.reports import messages as kept
from backend.reports import notifications as listed
from backend.reports.lines import Line
from backend.reports.notifications import Filter

# So many rows are read at once, each time by a short transaction of its own.
_AT_ONCE = 500
_Row = TypeVar("_Row")
_Key = TypeVar("_Key")
_ALL = 1_000_000


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
            found = listed.page(session, service_id, wanted, before=before, size=_AT_ONCE)
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
    for uid, kind, to, error in session.execute(own.where(Notification.uid.in_(uids)).order_by(Delivery.id)):
        addresses.setdefault(uid, []).append(masked(kind, to))
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


def recipients(service_id: int, text: str) -> Table:
    """Give those recipients of a service that hold a text, a line for each address, in the columns of an import."""
    return Table(csv_recipients.COLUMNS, _recipients(service_id, text))


def _recipients(service_id: int, text: str) -> Iterator[tuple[Cell, ...]]:
    with db.current().read() as session:
        yield from csv_recipients.rows(session, service_id, text)


# The lists of pages as tables, whole: each row as its page reads it, in the columns that are named here.


def table(columns: str, rows: Iterable[object]) -> Table:
    """Make a table of rows by the paths of their members, such as ``name sheet.template``: the last word is the column.

    Moments are written in RFC 3339, several words with spaces between them, and structures as JSON.
    """
    paths = [column.split(".") for column in columns.split()]
    names = tuple(path[-1] for path in paths)
    return Table(names, (tuple(_cell(reduce(_member, path, row)) for path in paths) for row in rows))


def _member(value: Any, name: str) -> Any:
    return None if value is None else getattr(value, name)


def _cell(value: object) -> Cell:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return value
        case datetime():
            return clock.iso(value)
        case list() | tuple() if all(isinstance(one, str) for one in value):
            return " ".join(value)
        case list() | tuple() | dict() | msgspec.Struct():
            return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
    return "" if value is None else str(value)


def paged(read: Callable[[Session, _Key | None], tuple[Sequence[_Row], _Key | None]]) -> Iterator[_Row]:
    """Yield the rows of a list page by page, each read by a short transaction of its own."""
    key: _Key | None = None
    while True:
        with db.current().read() as session:
            rows, key = read(session, key)
        yield from rows
        if key is None:
            return


def batches(service_id: int) -> Table:
    """Give a service's batches, the newest first."""
    rows = paged(lambda session, before: batch_reports.every(session, service_id, before, _AT_ONCE))
    columns = "batch_id aggregator_id matter channel recipient template_id subject status held members"
    return table(f"{columns} opened_at closes_at why error", rows)


def outbox(service_ids: Sequence[int] | None) -> Table:
    """Give what these services' outbox holds (``None``: that of all), the newest first; a text by its beginning."""

    def read(session: Session, before: Any) -> Any:
        found = kept.page(session, service_ids, before=before, size=_AT_ONCE)
        return found.rows, found.older

    return table("uid channel subject opening address service created_at", paged(read))


def api_clients(service_id: int) -> Table:
    """Give a service's API clients, the oldest first; no secret is among what is told."""
    rows = paged(lambda session, _: (clients.of_service(session, service_id), None))
    return table("client_id name mode scopes issuer created_at last_used_at revoked_at", rows)


def team(service_id: int) -> Table:
    """Give the members of a service by e-mail address."""
    rows = paged(lambda session, _: (members.of_service(session, service_id), None))
    return table("email role active is_locked", rows)


def policies(service_id: int) -> Table:
    """Give a service's policies with their steps."""

    def read(session: Session, after: str | None) -> tuple[Sequence[Any], str | None]:
        found = registered.page(session, service_id, _AT_ONCE, after)
        return found, found[-1].identifier if len(found) == _AT_ONCE else None

    return table("identifier name until steps updated_at", paged(read))


def templates(service_id: int, text: str, form: str) -> Table:
    """Give a service's templates with a text, of a format, in order of name, those in draft as well."""
    rows = paged(lambda session, _: (template_lists.every(session, service_id), None))
    found = template_lists.fitting(rows, text, form)
    return table("identifier name kind format version drafted_by locked changed_at used_at", found)


def worklist(service_id: int) -> Table:
    """Give what nobody has answered for, the oldest first, each with its ticket as the page names and links it."""
    rows = paged(lambda session, after: obligation_reports.on_worklist(session, service_id, _AT_ONCE, after))
    columns = ("notification_id", "until", "policy_id", "worklist_at", "ticket", "ticket_link", "ticket_detail")
    return Table(columns, (_on_worklist(service_id, row) for row in rows))


def _on_worklist(service_id: int, row: obligation_reports.WorklistRow) -> tuple[Cell, ...]:
    owed, ticket = row.obligation, row.obligation.ticket
    at = clock.iso(owed.worklist_at) if owed.worklist_at else ""
    whole = (row.notification_id, owed.until, owed.policy_id or "", at)
    if ticket is None:
        return *whole, "", "", ""
    if ticket.is_missing:
        return *whole, "", "", ticket.detail or "it was cancelled"
    page = f"{settings.current().base_url}/portal/services/{service_id}/notifications/{ticket.notification_id}"
    said = "" if ticket.number else "sent" if ticket.status in {"SENT", "DELIVERED"} else "on its way"
    return *whole, ticket.number or "", page if ticket.notification_id else "", said


def sent_to(service_id: int, wanted: str) -> Table:
    """Give a service's messages to an address, the newest first."""
    rows = paged(lambda session, before: address.sendings(session, service_id, wanted, before))
    return table("at title delivery.channel delivery.status delivery.error notification_uid batch_uid", rows)


def people(search: str) -> Table:
    """Give the users whose e-mail address holds ``search``."""

    def read(session: Session, after: str | None) -> tuple[Sequence[Any], str | None]:
        found = administration.people(session, search, after or "")
        shown = found[: administration.PAGE_LENGTH]
        return shown, shown[-1].email if len(found) > len(shown) else None

    return table("email active platform_admin created_at", paged(read))


class _ServiceRow(msgspec.Struct, frozen=True):
    service: Service
    organisation: str
    sent_today: int
    daily_limit: int


def all_services(search: str) -> Table:
    """Give the services whose name holds ``search``, with what each has sent today."""

    def read(session: Session, _: None) -> tuple[Sequence[_ServiceRow], None]:
        found = [one for one in services.reachable(session, None, search=search, limit=_ALL) if not one.built_in]
        used, named = usage.today(session, [one.id for one in found]), organisations.names(session)
        limits = [services.daily_limit(one) for one in found]
        rows = zip(found, limits, strict=True)
        return [
            _ServiceRow(one, named.get(one.organisation_id or 0, ""), used.get(one.id, 0), n) for one, n in rows
        ], None

    return table("service.id service.name organisation service.active service.live sent_today daily_limit", paged(read))


def all_organisations() -> Table:
    """Give the organisations with how many services each has."""
    return table("name services", paged(lambda session, _: (organisations.listed(session), None)))


def groups() -> Table:
    """Give the groups that have a role in a service."""
    return table("group service role", paged(lambda session, _: (group_roles.listed(session), None)))


def failures(service_id: int, key: str) -> Table | None:
    """Give all that fails for one reason, the newest first; ``None`` if nothing fails so (any more)."""
    with db.current().read() as session:
        group = failing.group(session, service_id, key)
    columns = "at notification status recipient channel address aggregator_id reason"
    return table(columns, group.failures) if group else None
