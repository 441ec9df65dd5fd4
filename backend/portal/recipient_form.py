"""Creating and editing recipients: addresses are checked one by one as they are typed, and all of them at the end."""

import re
from collections.abc import Mapping
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Template

from backend.accounts import audit
from backend.channels import ticket_options
from backend.channels.addresses import masked
from backend.channels.base import Channel
from backend.db import database as db
from backend.intake import address_tests
from backend.intake.address_tests import AddressTest
from backend.lib import languages, settings, strict_json
from backend.lib.problems import Problem
from backend.portal import access, recipient_rows
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import ONCE, go, page
from backend.portal.recipient_rows import ROW, Row, Written
from backend.registry import owned, recipients, template_files
from backend.registry.lookup import Address
from backend.registry.shapes import MAX_ENDPOINTS, RecipientShape

_ENDPOINT = re.compile(r"^/endpoints/(\d+)/(type|address)$")
_NAME = "Give the recipient a name."
_DOUBLED = re.compile(r"the \w+ one; give each endpoint once")
_CHANNELS = tuple(channel.value for channel in Channel)
_OPTION = re.compile(r"; ({}) is ".format("|".join(ticket_options.OPTIONS)))
# A form's fields: name, identifier, action, and those of the rows.
FormData = Sent[dict[str, str]]


@get("/recipients/new", guards=[access.editors], sync_to_thread=True)
def new(workspace: NamedDependency[Workspace]) -> Response[Any]:
    """Show the form of a new recipient."""
    return _page(workspace, Written(rows=[Row()]), Faults())


@post("/recipients/new", guards=[access.editors], sync_to_thread=True, shows_again=True)
def create(workspace: NamedDependency[Workspace], data: FormData) -> Response[Any]:
    """Store a new recipient, or do with the rows of the form what was asked."""
    written = recipient_rows.read(data)
    if (changed := _instead(workspace, written, data)) is not None:
        return changed
    faults = Faults()
    if not written.name:
        faults.add("name", _NAME)
    if written.name and not written.identifier:
        _suggest(written, faults)
    with faults.on("identifier"):
        owned.check_identifier(written.identifier)
    if not _store(workspace, written, faults, new=True):
        return _page(workspace, written, faults)
    return go(workspace.address(f"recipients/{written.identifier}"), f"{written.name} is stored.")


@get("/recipients/{identifier:str}/edit", guards=[access.editors], sync_to_thread=True)
def edit(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Response[Any]:
    """Show a recipient's form; addresses that are secrets are shown by their ends."""
    with db.current().read() as reading:
        record = recipients.get(reading, workspace.service_id, identifier)
    written = Written(record.name, identifier, recipient_rows.stored(record.endpoints), record.language or "")
    return _page(workspace, written, Faults(), identifier)


@post("/recipients/{identifier:str}/edit", guards=[access.editors], sync_to_thread=True, shows_again=True)
def save(workspace: NamedDependency[Workspace], identifier: FromPath[str], data: FormData) -> Response[Any]:
    """Store a recipient's changes, or do with the rows of the form what was asked."""
    with db.current().read() as reading:
        recipients.get(reading, workspace.service_id, identifier)
    written = recipient_rows.read(data)
    written.identifier = identifier
    if (changed := _instead(workspace, written, data, identifier)) is not None:
        return changed
    faults = Faults()
    if not _store(workspace, written, faults):
        return _page(workspace, written, faults, identifier)
    return go(workspace.address(f"recipients/{identifier}"), "The changes are saved.")


@post("/recipients/check", guards=[access.editors], sync_to_thread=True, status_code=200)
def check(workspace: NamedDependency[Workspace], data: FormData) -> Template:
    """Say what is wrong with the one field that ``field`` names, nothing if nothing is or it is still empty."""
    field, faults = data.get("field", ""), Faults()
    written = recipient_rows.read(data)
    row = ROW.fullmatch(field)
    if row and int(row[1]) < len(written.rows):
        one = written.rows[int(row[1])]
        if not one.empty:
            _endpoints(workspace, [one], written.identifier, faults)
    elif field == "identifier" and written.identifier:
        with faults.on(field):
            owned.check_identifier(written.identifier)
    fault = next(iter(faults.values()), None)
    number = int(row[1]) if row else 0
    context: dict[str, Any] = {
        "fault": fault,
        "id": field,
        "number": number,
        "row": written.rows[number] if row and data.get("kind") and number < len(written.rows) else None,
        "faults": Faults(),
        "ticket_options": ticket_options.OPTIONS,
    }
    return Template("recipients/_checked.html", context=context, media_type="text/html")


def _suggest(written: Written, faults: Faults) -> None:
    """Fill in an identifier that goes with the name, to be looked at: it cannot be changed later."""
    written.identifier = template_files.identifier_from(written.name)
    if written.identifier:
        detail = f"{written.identifier} is made from the name. It cannot be changed later: save again to take it."
        faults.add("identifier", detail)


def _instead(
    workspace: Workspace, written: Written, data: Mapping[str, str], present: str | None = None
) -> Response[Any] | None:
    """Show the form with a row more or less, or send a test to one, if that was asked in place of saving it."""
    what, _, number = data.get("action", "").partition("-")
    row = int(number) if number.isascii() and number.isdigit() and int(number) < len(written.rows) else None
    match what:
        case "add" if len(written.rows) < MAX_ENDPOINTS:
            written.rows.append(Row(written.rows[-1].type if written.rows else "EMAIL"))
            return _page(workspace, written, Faults(), present, focus=f"address-{len(written.rows) - 1}")
        case "remove" if row is not None:
            del written.rows[row]
            written.rows = written.rows or [Row()]
            return _page(workspace, written, Faults(), present, focus=f"address-{min(row, len(written.rows) - 1)}")
        case "test" if row is not None:
            return _tested(workspace, written, row, present, data.get(ONCE, ""))
        case "options":
            return _page(workspace, written, Faults(), present)
        case _:
            return None


def _tested(workspace: Workspace, written: Written, number: int, present: str | None, mark: str) -> Response[Any]:
    """Send the test message to what is written in a row, once for the form's mark; nothing of the form is stored."""
    faults, row = Faults(), written.rows[number]
    endpoints = _endpoints(workspace, [row], present or "", faults, numbers=[number])
    field = f"address-{number}"
    if faults or not endpoints:
        return _page(workspace, written, faults, present)
    shown = masked(row.type, endpoints[0].address)
    test = AddressTest(
        service_id=workspace.service_id,
        service_name=workspace.service_name,
        identifier=present or "",
        name=written.name or shown,
        endpoints=endpoints,
        sender=workspace.viewer.email,
        mark=mark,
    )
    uids: list[str] = []
    with faults.on(field), db.current().transaction() as transaction:
        uids = address_tests.sent_before(transaction, test)
        if not uids:
            uids = address_tests.store(transaction, test)
            detail = {"to": f"{row.type} {shown}", "messages": 1, "saved": False}
            subject = present or shown
            audit.record(
                transaction,
                workspace.actor,
                "recipient.tested",
                subject,
                service_id=workspace.service_id,
                detail=detail,
            )
    tested = (shown, uids[0]) if uids else None
    return _page(workspace, written, faults, present, focus=field, tested=tested)


def _store(workspace: Workspace, written: Written, faults: Faults, *, new: bool = False) -> bool:
    """Store what was written, if nothing is wrong with it."""
    endpoints = _endpoints(workspace, written.rows, written.identifier, faults, written.name)
    language = None
    try:
        language = languages.language_tag(written.language) if written.language else None
    except ValueError as error:
        faults.add("language", str(error))
    if faults:
        return False
    with faults.on("identifier"), db.current().transaction() as transaction:
        before = recipients.present(transaction, workspace.service_id, written.identifier)
        if new and before is not None:
            raise Problem("identifier_taken", f"This service has a recipient {written.identifier} already.")
        record, made = recipients.put(
            transaction, workspace.service_id, written.identifier, written.name, endpoints, language
        )
        if before != record:
            action = "recipient.made" if made else "recipient.changed"
            audit.record(transaction, workspace.actor, action, written.identifier, service_id=workspace.service_id)
    return not faults


def _endpoints(  # noqa: PLR0913, PLR0917 - the form's own parts, and where its faults go
    workspace: Workspace,
    rows: list[Row],
    identifier: str,
    faults: Faults,
    name: str = "checked",
    numbers: list[int] | None = None,
) -> list[Address]:
    """Return the addresses in canonical form, or say beside each field what is wrong with it.

    ``numbers`` are the rows' places in the form, where they are not all of it.
    """
    numbered = list(zip(numbers, rows, strict=True)) if numbers else list(enumerate(rows))
    written = [(number, row) for number, row in numbered if not row.empty]
    try:
        given = [{"type": row.type, "address": row.whole} for _, row in written]
        strict_json.check(RecipientShape, {"name": name, "endpoints": given})
    except Problem as problem:
        _tell(problem, [number for number, _ in written], faults, named=bool(name))
    if not written:
        faults.add(f"address-{numbers[0] if numbers else 0}", "Give at least one address.")
    meant = [Address(row.type, row.whole) for _, row in written if row.type in _CHANNELS]
    if len(meant) < len(written):
        return []
    if owned.is_identifier(identifier):
        with db.current().read() as reading:
            meant = recipients.unmasked(reading, workspace.service_id, identifier, meant)
    try:
        return recipients.canonical_endpoints(meant, settings.current().outbound_allow)
    except Problem as problem:
        _tell(problem, [number for number, _ in written], faults, named=True)
    return []


def _tell(problem: Problem, row_numbers: list[int], faults: Faults, *, named: bool) -> None:
    for error in problem.errors:
        found = _ENDPOINT.fullmatch(error.pointer)
        if found:
            sentence = _DOUBLED.sub("another address of this form; give each once", error.detail)
            option, number = _OPTION.search(sentence), row_numbers[int(found[1])]
            if option:
                known = ticket_options.OPTIONS[option[1]]
                faults.add(f"option-{number}-{option[1]}", f"{known.label}: write {known.wanted}.")
            else:
                faults.add(f"{found[2]}-{number}", sentence)
        elif error.pointer == "/name":
            faults.add("name", error.detail if named else _NAME)
        else:
            faults.add("address-0", error.detail)


def _page(  # noqa: PLR0913 - what the form is shown with
    workspace: Workspace,
    written: Written,
    faults: Faults,
    present: str | None = None,
    *,
    focus: str | None = None,
    tested: tuple[str, str] | None = None,
) -> Response[Any]:
    return page(
        "recipients/form.html",
        workspace.viewer,
        current="recipients",
        workspace=workspace,
        status_code=faults.status,
        written=written,
        faults=faults,
        present=present,
        focus=focus,
        tested=tested,
        ticket_options=ticket_options.OPTIONS,
        channels=_CHANNELS,
        languages=languages.languages(),
        most=MAX_ENDPOINTS,
    )


ROUTES = [new, create, edit, save, check]
