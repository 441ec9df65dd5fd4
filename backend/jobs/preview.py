"""What a spreadsheet would become: its first rows rendered, and an example of a file for a template."""

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select

from backend.channels.base import Channel
from backend.channels.records import RECORDS
from backend.db import database as db
from backend.db.models.jobs import Job
from backend.db.models.spreadsheets import Spreadsheet
from backend.intake import digests, modes
from backend.intake import lookup as intake_lookup
from backend.intake.quotas import Held
from backend.intake.ready import Digested, ReadyMessage
from backend.jobs import columns, files, rows, table, work
from backend.jobs.rows import Row, Sheet
from backend.jobs.table import Record
from backend.lib import clock
from backend.lib.problems import Problem
from backend.registry import lookup, templates
from backend.registry.lookup import FoundRecipients
from backend.registry.throttles import Over
from backend.rendering.model import Rendered

SHOWN = 5
_LOOKED_AT = 50


class FirstRow(msgspec.Struct, frozen=True, kw_only=True):
    """One of the first rows; ``fault`` says why it is not sent, else ``subject`` is its message's.

    ``held`` says what a throttle would do with it now.
    """

    number: int
    recipient: str
    subject: str | None = None
    fault: str | None = None
    held: str | None = None


def first_rows(service_id: int, job_id: int) -> list[FirstRow]:
    """Show what the first rows become; nothing once the file is gone."""
    found = _head(service_id, job_id)
    if found is None:
        return []
    sheet, records, groups = found
    held = _held(job_id, sheet, [row for one in records if isinstance(row := rows.read(sheet, one, groups), Row)])
    return [_first(sheet, record, groups, held) for record in records[:SHOWN]]


def _held(job_id: int, sheet: Sheet, some: Sequence[Row]) -> dict[int, str]:
    """Foresee what throttles do with rows that are sent one after the other, if that were now."""
    with db.current().read() as session:
        spreadsheet = session.scalars(select(Spreadsheet).where(Spreadsheet.job_id == job_id)).one()
        service = intake_lookup.services(session, {sheet.service_id})[sheet.service_id]
    mode = modes.of_service(live=service.live)
    messages = {row.number: work.message_of(spreadsheet, sheet, row, mode) for row in some}
    tried: dict[UUID, Digested | Problem] = {}
    while True:
        said, untried = _foreseen(messages, tried)
        if not untried:
            return said
        tried |= digests.try_out(list(messages.values()), untried)


def _foreseen(
    messages: Mapping[int, ReadyMessage], tried: Mapping[UUID, Digested | Problem]
) -> tuple[dict[int, str], dict[UUID, Over]]:
    """Say what becomes of rows, and which are to be tried in their digests first."""
    said: dict[int, str] = {}
    untried: dict[UUID, Over] = {}
    with db.current().read() as session:
        held = Held(session, list(messages.values()), clock.now(), only_looks=True)
        for number, message in messages.items():
            refused, over, digested = held.refuses([message]), held.digest(message), tried.get(message.uid)
            if refused is not None:
                said[number] = f"Would be refused. {refused.errors[0].detail}"
            elif over is not None and not isinstance(digested, Problem):
                name = over.allowance.throttle.digest_template
                said[number] = f"Would join a digest made with {name}. {over.sentence()}"
                if digested is None:
                    untried[message.uid] = over
            else:
                held.take([message])
                if message.uid in held.waits:
                    why = f" {digested.detail}" if isinstance(digested, Problem) else ""
                    said[number] = f"Would wait for its turn. {held.waits[message.uid].sentence()}{why}"
    return said, untried


def message(service_id: int, job_id: int, number: int) -> Rendered | None:
    """Render one of the first rows; None if it is none of them.

    Raises:
        Problem: if it is faulty.
    """
    found = _head(service_id, job_id)
    record = next((one for one in found[1] if one.number == number), None) if found else None
    if found is None or record is None:
        return None
    row = rows.read(found[0], record, found[2])
    if not isinstance(row, Row):
        raise Problem("invalid_value", row[0].reason)
    return rows.render(found[0], row)


def _head(service_id: int, job_id: int) -> tuple[Sheet, list[Record], FoundRecipients] | None:
    with db.current().read() as session:
        own = select(Spreadsheet).join(Job, Job.id == Spreadsheet.job_id)
        row = session.scalar(own.where(Job.id == job_id, Job.service_id == service_id))
        if row is None:
            return None
        sheet = rows.load(session, row)
        try:
            file = files.opened(row.uid)
            first = table.header(file)[1]
            some = islice(table.records(file, row.delimiter, first.end, first.number + 1), _LOOKED_AT)
            records = [record for record in some if not record.blank][:SHOWN]
        except (FileNotFoundError, table.Unreadable):
            return None
        return sheet, records, lookup.readers(session, service_id, rows.groups_of(sheet, records))


def _first(sheet: Sheet, record: Record, groups: FoundRecipients, held: Mapping[int, str]) -> FirstRow:
    recipient = record.cells[sheet.recipient].strip() if len(record.cells) > sheet.recipient else ""
    row = rows.read(sheet, record, groups)
    if not isinstance(row, Row):
        return FirstRow(number=record.number, recipient=recipient, fault=row[0].reason)
    try:
        made = rows.render(sheet, row)
    except Problem as problem:
        return FirstRow(number=record.number, recipient=recipient, fault=problem.detail)
    return FirstRow(number=record.number, recipient=recipient, subject=made.subject, held=held.get(record.number))


def example(service_id: int, identifier: str, channel: Channel) -> bytes:
    """Write a file of two rows as a template wants it: its columns' names, and its sample fields.

    Spreadsheet programs know by the byte order mark that it is UTF-8.

    Raises:
        Problem: ``not_found``, or ``invalid_identifier``.
    """
    with db.current().read() as session:
        template = lookup.templates(session, service_id, {identifier}).get(identifier)
        content = templates.get(session, service_id, identifier).content
    if template is None:
        raise Problem("not_found", f"This service has no template {identifier}.")
    fields = rows.fields_of(template)
    names = [*sorted(fields.needed), *sorted(fields.optional)]
    given = content.sample_fields if isinstance(content.sample_fields, dict) else {}
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow([columns.address_name(channel), *names])
    writer.writerow([RECORDS[channel].example, *(_cell(given.get(name)) for name in names)])
    return text.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> str:
    return str(value) if isinstance(value, (str, int, float)) and not isinstance(value, bool) else ""
