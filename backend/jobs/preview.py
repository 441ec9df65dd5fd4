"""What a spreadsheet would become: its first rows rendered, and an example of a file for a template."""

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import select

from backend.channels.base import Channel
from backend.channels.records import RECORDS
from backend.db import database as db
from backend.db.models.jobs import Job
from backend.db.models.spreadsheets import Spreadsheet
from backend.delivery.outcomes import equal_texts
from backend.intake import digests, modes
from backend.intake import lookup as intake_lookup
from backend.jobs import columns, files, rows, table, work
from backend.jobs.rows import Row, Sheet
from backend.jobs.table import Record
from backend.lib.problems import Problem
from backend.registry import lookup, templates
from backend.registry.lookup import FoundRecipients
from backend.rendering.model import Rendered

SHOWN = 5
_LOOKED_AT = 50


class FirstRow(msgspec.Struct, frozen=True, kw_only=True):
    """One of the first rows; ``fault`` says why it is not sent, else ``subject`` is its message's.

    ``held`` says what would keep it from going at once, if it were sent now.
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
    """Foresee what keeps rows from going that are sent one after the other, if that were now."""
    with db.current().read() as session:
        spreadsheet = session.scalars(select(Spreadsheet).where(Spreadsheet.job_id == job_id)).one()
        service = intake_lookup.services(session, {sheet.service_id})[sheet.service_id]
    mode = modes.of_service(live=service.live)
    texts = rows.texts(sheet, some) if equal_texts.within() else {}
    messages = [work.message_of(spreadsheet, sheet, row, mode, texts.get(row.number)) for row in some]
    said = digests.foreseen(messages)
    held = ((row.number, said.get(message.uid)) for row, message in zip(some, messages, strict=True))
    return {number: sentence for number, sentence in held if sentence is not None}


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
