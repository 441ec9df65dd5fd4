"""Where an address may stand in a text, and taking it out of there some rows at a time."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import JSON, ColumnElement, Integer, Text, and_, cast, func, or_, select, true, type_coerce, update
from sqlalchemy.orm import Session

from backend.db import database as db
from backend.db.models.accounts import Invitation
from backend.db.models.attachments import FileDownload
from backend.db.models.batches import Batch, BatchItem, BatchMemory, BatchStatus
from backend.db.models.callbacks import CallbackMessage
from backend.db.models.edits import PostEdit
from backend.db.models.jobs import Job
from backend.db.models.mailboxes import BounceMailbox
from backend.db.models.matters import Conversation, Resolution
from backend.db.models.notifications import Delivery, DeliveryStatus, Event, Notification, OutboxMessage
from backend.db.models.obligations import Obligation, ObligationStep
from backend.db.models.providers import ProviderState
from backend.db.models.receipts import ProviderReceipt, Suppression
from backend.db.models.registry import TemplateSample
from backend.db.models.sending import SendingRule
from backend.db.models.spreadsheets import Spreadsheet, SpreadsheetFault
from backend.erasure.person import Person
from backend.lib import clock

# So many numbers of rows are looked through, and so many rows at most changed, in one transaction.
_SPAN = 5000


class AddressColumns(msgspec.Struct, frozen=True):
    """Columns of a table in which an address may stand."""

    model: Any
    columns: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return the name of the table."""
        return str(self.model.__tablename__)

    @property
    def key(self) -> Any:
        """Return the column that numbers, or names, its rows."""
        (column,) = self.model.__table__.primary_key.columns
        return getattr(self.model, column.name)

    def only(self, *, dry_run: bool) -> ColumnElement[bool] | None:
        """Tell which rows may be changed, if not all may."""
        if self.model is Delivery:  # what a worker has claimed is still to be written down
            return Delivery.status != DeliveryStatus.SENDING.value
        if self.model is Batch and not dry_run:  # one that was opened since the others were emptied gathers more
            return or_(Batch.status != BatchStatus.OPEN.value, Batch.address.is_(None))
        if self.model is Invitation:  # by its address an open one is accepted
            return or_(
                Invitation.accepted_at.is_not(None),
                Invitation.withdrawn_at.is_not(None),
                Invitation.expires_at <= clock.now(),
            )
        return None


LAST: Sequence[AddressColumns] = (
    AddressColumns(Delivery, ("address", "recipients", "error", "waits_why")),
    AddressColumns(Batch, ("address", "subject", "error", "sender", "reply_to", "waits_why")),
)
ALL: Sequence[AddressColumns] = (
    AddressColumns(Notification, ("content", "problem")),
    AddressColumns(OutboxMessage, ("address", "subject", "text", "html")),
    AddressColumns(Event, ("detail",)),
    AddressColumns(ProviderReceipt, ("address", "detail", "raw")),
    AddressColumns(Suppression, ("address", "detail")),
    AddressColumns(FileDownload, ("address",)),
    AddressColumns(CallbackMessage, ("payload", "last_error")),
    AddressColumns(BatchItem, ("fields",)),
    AddressColumns(BatchMemory, ("told",)),
    AddressColumns(Conversation, ("subject",)),
    AddressColumns(Resolution, ("note",)),
    AddressColumns(Job, ("name", "file_name")),
    AddressColumns(Spreadsheet, ("note", "subject")),
    AddressColumns(SpreadsheetFault, ("reason",)),
    AddressColumns(TemplateSample, ("text",)),
    AddressColumns(ProviderState, ("reason", "last_fault")),
    AddressColumns(BounceMailbox, ("trouble",)),
    AddressColumns(Obligation, ("met_by", "closed_by", "closed_reason")),
    AddressColumns(ObligationStep, ("content", "detail")),
    AddressColumns(PostEdit, ("text", "blocks")),
    AddressColumns(SendingRule, ("mute_reason", "muted_by")),
    AddressColumns(Invitation, ("email",)),
)


def clear(table_columns: AddressColumns, person: Person, *, dry_run: bool) -> int:
    """Take an address out of a place, in one short transaction after the other; return of how many rows."""
    found = 0
    for span in _spans(table_columns):
        if dry_run:
            with db.current().read() as session:
                found += len(_changes(session, table_columns, person, span, dry_run=True))
        elif changed := _some(table_columns, person, span):
            found += changed
    return found


def _spans(table_columns: AddressColumns) -> Iterator[ColumnElement[bool]]:
    """Yield conditions for some rows at a time; a table without numbers is small enough to be taken as a whole."""
    key = table_columns.key
    if not isinstance(key.type, Integer):
        yield true()
        return
    with db.current().read() as session:
        last = session.scalar(select(func.max(key))) or 0
    for start in range(1, last + 1, _SPAN):
        yield and_(key >= start, key < start + _SPAN)


def _some(table_columns: AddressColumns, person: Person, span: ColumnElement[bool]) -> int:
    """Look without a lock first: most spans hold nothing."""
    with db.current().read() as session:
        if not _changes(session, table_columns, person, span):
            return 0
    with db.current().transaction() as session:
        changes = _changes(session, table_columns, person, span)
        for row, values in changes.items():
            _free_space(session, table_columns, row, values)
            session.execute(update(table_columns.model).where(table_columns.key == row).values(values))
    return len(changes)


def _changes(
    session: Session,
    table_columns: AddressColumns,
    person: Person,
    span: ColumnElement[bool],
    *,
    dry_run: bool = False,
) -> dict[Any, dict[str, Any]]:
    """Return what is to be changed in a span, by row and column."""
    only = table_columns.only(dry_run=dry_run)
    columns = [getattr(table_columns.model, name) for name in table_columns.columns]
    wanted = select(table_columns.key, *columns).where(span, or_(*(_holds(column, person) for column in columns)))
    rows = session.execute(wanted if only is None else wanted.where(only)).all()
    found = {}
    for row, *values in rows:
        named = zip(table_columns.columns, values, strict=True)
        changed = {name: new for name, old in named if (new := _cleared(old, person)) != old}
        if changed:
            found[row] = changed
    return found


def _holds(column: Any, person: Person) -> ColumnElement[bool]:
    """Tell roughly whether a column has the address; what it is part of is seen afterwards."""
    text = cast(column, Text) if isinstance(column.type, JSON) else type_coerce(column, Text())
    return func.lower(text).contains(person.address.lower(), autoescape=True)


def _cleared(value: Any, person: Person) -> Any:
    if not isinstance(value, str):
        return person.without(value)
    return person.erased(value)


def _free_space(session: Session, table_columns: AddressColumns, row: Any, values: dict[str, Any]) -> None:
    """Delete what was left of the address in the same list by an earlier run: there is one row for each address."""
    if table_columns.model is Suppression and "address" in values:
        same = session.get_one(Suppression, row)
        for before in session.scalars(
            select(Suppression).filter_by(service_id=same.service_id, channel=same.channel, address=values["address"])
        ).all():
            session.delete(before)
        session.flush()


def as_json(text: str | None) -> Any:
    """Read a text that should be JSON; None where it is not."""
    try:
        return json.loads(text or "")
    except ValueError:
        return None
