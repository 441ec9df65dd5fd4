"""What the rows of a spreadsheet are made into: whom each goes to, and whether the template renders with its cells."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec
from sqlalchemy.orm import Session

from backend.accounts.reach import Reach
from backend.channels import addresses
from backend.channels.base import Channel
from backend.channels.records import CHATS, NEED_SUBJECT, TEXT_ONLY
from backend.db import database as db
from backend.db.models.jobs import Job
from backend.db.models.spreadsheets import Spreadsheet
from backend.delivery.sending.compose import html_for, render_job, text_for
from backend.intake import equal_messages, modes
from backend.jobs.table import Record
from backend.lib import settings
from backend.lib.fair_pool import Share
from backend.lib.problems import Problem
from backend.publishing.sources import mail_settings, source_of_version
from backend.registry import lookup, sending
from backend.registry.languages import Choice, choose
from backend.registry.lookup import FoundRecipients, FoundTemplate
from backend.rendering import acceptance
from backend.rendering.fields_read import FieldsRead, fields_read
from backend.rendering.model import Rendered, RenderJob
from backend.rendering.pool import PREVIEWS, TRIALS

_TRIED_AT_ONCE = 200
_COSTLY_AT_ONCE = 20
_STEP_SECONDS = 1.0
_LONGEST_ADDRESS = 2048


class Sheet(msgspec.Struct, frozen=True, kw_only=True):
    """What a spreadsheet's rows are made into; ``language`` is the service's."""

    service_id: int
    columns: list[str]
    recipient: int
    to_groups: bool
    channel: Channel
    template: FoundTemplate
    fields: FieldsRead
    subject: str | None
    language: str

    @property
    def share(self) -> Share:
        """Return on whose account rows are rendered."""
        return Share(self.service_id)

    @property
    def content_type(self) -> str:
        """Return which part of the template's message is sent; text messages have no HTML."""
        return "text" if self.channel in TEXT_ONLY else "html"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A row that can be sent: ``recipient`` is the cell as it was given, ``addresses`` whom that means.

    ``choice`` is the template's variant that they get.
    """

    number: int
    recipient: str
    addresses: tuple[str, ...]
    fields: dict[str, str]
    choice: Choice


class RowFault(msgspec.Struct, frozen=True):
    """Why a row is not sent; without a ``column`` it is the row as a whole."""

    row: int
    column: str
    reason: str


def groups_of(sheet: Sheet, records: Sequence[Record]) -> set[str]:
    """Name the recipient groups that rows go to."""
    if not sheet.to_groups:
        return set()
    return {record.cells[sheet.recipient].strip() for record in records if len(record.cells) > sheet.recipient} - {""}


def read(sheet: Sheet, record: Record, groups: FoundRecipients) -> Row | list[RowFault]:
    """Say what a row asks for, or everything that is wrong with its cells."""
    cells, wanted = record.cells, len(sheet.columns)
    if len(cells) < wanted or any(cell.strip() for cell in cells[wanted:]):
        reason = f"It has {len(cells)} cells, and the first row names {wanted} columns."
        return [RowFault(record.number, "", reason)]
    recipient = cells[sheet.recipient].strip()
    faults = []
    found: tuple[str, ...] = ()
    try:
        found = _of_group(sheet, recipient, groups) if sheet.to_groups else (_address(sheet, recipient),)
    except Problem as problem:
        faults.append(RowFault(record.number, sheet.columns[sheet.recipient], problem.detail))
    fields = dict(_fields(sheet, cells))
    empty = [name for name in sorted(sheet.fields.needed - sheet.fields.conditional) if not fields[name].strip()]
    faults += [RowFault(record.number, name, "The cell is empty, and the template needs it.") for name in empty]
    wished = groups.languages.get(recipient) if sheet.to_groups else None
    choice = choose(sheet.template, (wished,), sheet.language)
    return faults or Row(number=record.number, recipient=recipient, addresses=found, fields=fields, choice=choice)


def within(sheet: Sheet, row: Row, team: Reach) -> Row | list[RowFault]:
    """Return a row whose addresses are all within a reach, else why it is not sent."""
    if all(team.has(sheet.channel, address) for address in row.addresses):
        return row
    return [RowFault(row.number, sheet.columns[sheet.recipient], f"Its address {modes.WHY}.")]


def _address(sheet: Sheet, cell: str) -> str:
    if not cell:
        raise Problem("invalid_address", "The cell is empty, so it says nobody to send to.")
    if len(cell) > _LONGEST_ADDRESS:
        raise Problem("invalid_address", f"An address has at most {_LONGEST_ADDRESS:,} characters.")
    return addresses.normalise(sheet.channel, cell, settings.current().outbound_allow)


def _of_group(sheet: Sheet, identifier: str, groups: FoundRecipients) -> tuple[str, ...]:
    if not identifier:
        raise Problem("unknown_recipient", "The cell is empty, so it says nobody to send to.")
    known = groups.addresses.get(identifier)
    if known is None:
        raise Problem("unknown_recipient", f"No recipient {identifier[:80]!r} is registered for this service.")
    found = tuple(dict.fromkeys(one.address for one in known if one.type == sheet.channel.value))
    if not found:
        detail = f"The recipient {identifier} has no {sheet.channel.value} endpoint."
        raise Problem("no_address_for_channel", detail)
    return found


def _fields(sheet: Sheet, cells: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the fields; an empty cell of one that the template does without is no field at all."""
    for position, (name, cell) in enumerate(zip(sheet.columns, cells, strict=False)):
        if position != sheet.recipient and (cell.strip() or name not in sheet.fields.optional):
            yield name, cell


def at_once(sheet: Sheet) -> int:
    """Return how many rows may be tried out in one step: few where each may take seconds, and one at least."""
    job = render_job(sheet.template, {})
    if acceptance.is_harmless(job):
        return _TRIED_AT_ONCE
    return max(1, TRIALS.affordable(sheet.share, _COSTLY_AT_ONCE, _STEP_SECONDS))


def try_out(sheet: Sheet, rows: Sequence[Row]) -> Iterator[RowFault]:
    """Render rows, and yield what keeps one from becoming a message.

    Raises:
        Problem: ``unavailable``, if there is no process to render them in at this moment.
    """
    rendered = acceptance.render_many([_job(sheet, row) for row in rows], sheet.share)
    for row, result in zip(rows, rendered, strict=True):
        fault = _fault(sheet, result)
        if fault is not None:
            yield RowFault(row.number, "", fault)


def looks_for_equal(sheet: Sheet) -> bool:
    """Tell whether the texts of rows are needed before they are sent, to know which equal others."""
    if sheet.channel is not Channel.SMS:
        return False
    with db.current().read() as session:
        return equal_messages.are_ruled(sending.present(session, sheet.service_id), sheet.template.identifier)


def texts(sheet: Sheet, rows: Sequence[Row]) -> dict[int, str]:
    """Return what the text messages of rows say, by their numbers; one that does not render says nothing."""
    if sheet.channel is not Channel.SMS:
        return {}
    rendered = acceptance.render_many([_job(sheet, row) for row in rows], sheet.share)
    made = ((row.number, one) for row, one in zip(rows, rendered, strict=True))
    return {number: text_for(sheet.channel, one) for number, one in made if isinstance(one, Rendered)}


def _fault(sheet: Sheet, result: Rendered | Problem) -> str | None:
    if isinstance(result, Problem):
        return f"The template does not render with this row. {result.detail}"
    if sheet.channel in NEED_SUBJECT and not (sheet.subject or result.subject):
        return f"It has no subject, which {sheet.channel.value} needs: the template's renders to nothing."
    return None


def _job(sheet: Sheet, row: Row, *, whole: bool = False) -> RenderJob:
    as_html = sheet.content_type == "html"
    want_html, want_text = whole or as_html, whole or not as_html
    template = row.choice.template
    return render_job(template, row.fields, subject=sheet.subject, want_html=want_html, want_text=want_text)


def render(sheet: Sheet, row: Row) -> Rendered:
    """Render a row as a page shows it.

    Raises:
        Problem: ``template_arguments``.
    """
    made = PREVIEWS.render(_job(sheet, row, whole=True), sheet.share)
    html = html_for(sheet.channel, made) if sheet.content_type == "html" or sheet.channel in CHATS else None
    text = text_for(sheet.channel, made)
    return msgspec.structs.replace(made, subject=sheet.subject or made.subject, html=html, text=text)


# A spreadsheet as the steps of its work need it: what its rows are made into.


def fields_of(template: FoundTemplate) -> FieldsRead:
    """Return the fields that a template version reads."""
    return _fields_of(source_of_version(template))


_fields_of = lru_cache(maxsize=64)(fields_read)


def load(session: Session, row: Spreadsheet) -> Sheet:
    """Return what a spreadsheet's rows are made into."""
    template = lookup.versions(session, [row.template_version_id])[row.template_version_id]
    service_id = session.get_one(Job, row.job_id).service_id
    return Sheet(
        service_id=service_id,
        columns=row.columns,
        recipient=row.recipient_column,
        to_groups=row.to_groups,
        channel=Channel(row.channel),
        template=template,
        fields=fields_of(template),
        subject=row.subject,
        language=mail_settings(session, service_id).language,
    )
