"""Creating and editing recipients: addresses are checked one by one as they are typed, and all of them at the end."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath
from litestar.response import Template

from backend.accounts import audit
from backend.channels.addresses import masked
from backend.channels.base import Channel
from backend.db import session
from backend.lib import settings, shapes
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Place
from backend.portal.forms import Faults
from backend.portal.pages import go, page
from backend.registry import owned, recipients
from backend.registry.lookup import Address
from backend.registry.shapes import MAX_ENDPOINTS, RecipientShape

_PLACE = re.compile(r"^/endpoints/(\d+)/(type|address)$")
_NAME = "Give the recipient a name."
_DOUBLED = re.compile(r"the \w+ one; give each endpoint once")
_CHANNELS = tuple(channel.value for channel in Channel)
_ROW = re.compile(r"address-(\d{1,4})", re.ASCII)

# A form's fields: name, identifier, action, and type-0, address-0, type-1, …
FormData = Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]


class Row(msgspec.Struct):
    """One address as it was written; an empty one is left out of what is stored."""

    type: str = "EMAIL"
    address: str = ""

    @property
    def empty(self) -> bool:
        """Tell whether nothing was written."""
        return not self.address.strip()


class Written(msgspec.Struct):
    """A form as it was written; ``identifier`` is fixed once the recipient is there."""

    name: str = ""
    identifier: str = ""
    rows: list[Row] = []


@get("/recipients/new", guards=[access.editors], sync_to_thread=True)
def new(place: NamedDependency[Place]) -> Response[Any]:
    """Show the form of a new recipient."""
    return _page(place, Written(rows=[Row()]), Faults())


@post("/recipients/new", guards=[access.editors], sync_to_thread=True)
def create(place: NamedDependency[Place], data: FormData) -> Response[Any]:
    """Store a new recipient, or do with the rows of the form what was asked."""
    written = _read(data)
    if (changed := _other_rows(place, written, data.get("action", ""))) is not None:
        return changed
    faults = Faults()
    if not written.name:
        faults.add("name", _NAME)
    with faults.on("identifier"):
        owned.check_identifier(written.identifier)
    if not _store(place, written, faults, new=True):
        return _page(place, written, faults)
    return go(place.address(f"recipients/{written.identifier}"), f"{written.name} is stored.")


@get("/recipients/{identifier:str}/edit", guards=[access.editors], sync_to_thread=True)
def edit(place: NamedDependency[Place], identifier: FromPath[str]) -> Response[Any]:
    """Show a recipient's form; addresses that are secrets are shown by their ends."""
    with session.current().read() as reading:
        record = recipients.get(reading, place.service_id, identifier)
    rows = [Row(one.type, masked(one.type, one.address)) for one in record.endpoints] or [Row()]
    return _page(place, Written(record.name, identifier, rows), Faults(), identifier)


@post("/recipients/{identifier:str}/edit", guards=[access.editors], sync_to_thread=True)
def save(place: NamedDependency[Place], identifier: FromPath[str], data: FormData) -> Response[Any]:
    """Store a recipient's changes, or do with the rows of the form what was asked."""
    with session.current().read() as reading:
        recipients.get(reading, place.service_id, identifier)
    written = _read(data)
    written.identifier = identifier
    if (changed := _other_rows(place, written, data.get("action", ""), identifier)) is not None:
        return changed
    faults = Faults()
    if not _store(place, written, faults):
        return _page(place, written, faults, identifier)
    return go(place.address(f"recipients/{identifier}"), "The changes are saved.")


@post("/recipients/check", guards=[access.editors], sync_to_thread=True, status_code=200)
def check(place: NamedDependency[Place], data: FormData) -> Template:
    """Say what is wrong with the one field that ``field`` names, nothing if nothing is or it is still empty."""
    field, faults = data.get("field", ""), Faults()
    written = _read(data)
    row = _ROW.fullmatch(field)
    if row and int(row[1]) < len(written.rows):
        one = written.rows[int(row[1])]
        if not one.empty:
            _endpoints(place, [one], written.identifier, faults)
    elif field == "identifier" and written.identifier:
        with faults.on(field):
            owned.check_identifier(written.identifier)
    fault = next(iter(faults.values()), None)
    return Template("recipients/_fault.html", context={"fault": fault, "id": field}, media_type="text/html")


def _read(data: Mapping[str, str]) -> Written:
    places = sorted(int(found[1]) for name in data if (found := _ROW.fullmatch(name)))
    rows = [Row(data.get(f"type-{one}", ""), data[f"address-{one}"]) for one in places[: MAX_ENDPOINTS + 1]]
    return Written(data.get("name", "").strip(), data.get("identifier", "").strip(), rows)


def _other_rows(place: Place, written: Written, action: str, present: str | None = None) -> Response[Any] | None:
    """Show the form with a row more or less, if that was asked."""
    if action == "add" and len(written.rows) < MAX_ENDPOINTS:
        kind = written.rows[-1].type if written.rows else "EMAIL"
        written.rows.append(Row(kind))
        return _page(place, written, Faults(), present, focus=f"address-{len(written.rows) - 1}")
    number = action.removeprefix("remove-")
    if action != number and number.isascii() and number.isdigit() and int(number) < len(written.rows):
        del written.rows[int(number)]
        written.rows = written.rows or [Row()]
        return _page(place, written, Faults(), present, focus=f"address-{min(int(number), len(written.rows) - 1)}")
    return None


def _store(place: Place, written: Written, faults: Faults, *, new: bool = False) -> bool:
    """Store what was written, if nothing is wrong with it."""
    endpoints = _endpoints(place, written.rows, written.identifier, faults, written.name)
    if faults:
        return False
    with faults.on("identifier"), session.current().write() as transaction:
        before = recipients.present(transaction, place.service_id, written.identifier)
        if new and before is not None:
            raise Problem("identifier_taken", f"This service has a recipient {written.identifier} already.")
        record, made = recipients.put(transaction, place.service_id, written.identifier, written.name, endpoints)
        if before != record:
            action = "recipient.made" if made else "recipient.changed"
            audit.record(transaction, place.actor, action, written.identifier, service_id=place.service_id)
    return not faults


def _endpoints(place: Place, rows: list[Row], identifier: str, faults: Faults, name: str = "checked") -> list[Address]:
    """Return the addresses in canonical form, or say beside each field what is wrong with it."""
    written = [(place_, row) for place_, row in enumerate(rows) if not row.empty]
    try:
        given = [{"type": row.type, "address": row.address.strip()} for _, row in written]
        shapes.check(RecipientShape, {"name": name, "endpoints": given})
    except Problem as problem:
        _tell(problem, [number for number, _ in written], faults, named=bool(name))
    if not written:
        faults.add("address-0", "Give at least one address.")
    meant = [Address(row.type, row.address.strip()) for _, row in written if row.type in _CHANNELS]
    if len(meant) < len(written):
        return []
    if owned.is_identifier(identifier):
        with session.current().read() as reading:
            meant = recipients.unmasked(reading, place.service_id, identifier, meant)
    try:
        return recipients.canonical_endpoints(meant, settings.current().outbound_allow)
    except Problem as problem:
        _tell(problem, [number for number, _ in written], faults, named=True)
    return []


def _tell(problem: Problem, places: list[int], faults: Faults, *, named: bool) -> None:
    for error in problem.errors:
        found = _PLACE.fullmatch(error.pointer)
        if found:
            sentence = _DOUBLED.sub("another address of this form; give each once", error.detail)
            faults.add(f"{found[2]}-{places[int(found[1])]}", sentence)
        elif error.pointer == "/name":
            faults.add("name", error.detail if named else _NAME)
        else:
            faults.add("address-0", error.detail)


def _page(
    place: Place, written: Written, faults: Faults, present: str | None = None, *, focus: str | None = None
) -> Response[Any]:
    return page(
        "recipients/form.html",
        place.viewer,
        current="recipients",
        place=place,
        status_code=faults.status,
        written=written,
        faults=faults,
        present=present,
        focus=focus,
        channels=_CHANNELS,
        most=MAX_ENDPOINTS,
    )


ROUTES = [new, create, edit, save, check]
