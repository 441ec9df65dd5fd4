"""Recipients: the list, one with its addresses and where it is used, a test message to it, deleting it."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery

from backend.accounts import audit
from backend.channels.addresses import masked
from backend.channels.base import Channel
from backend.db import session
from backend.intake import recipient_test
from backend.intake.recipient_test import RecipientTest
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Place
from backend.portal.forms import Faults
from backend.portal.pages import Page, go, page
from backend.registry import owned, recipient_usage, recipients, suppressions
from backend.registry.recipients import RecipientRecord
from backend.registry.suppressions import SuppressionRecord

PAGE = 50
_LONGEST_SEARCH = 100
ALL = "all"


class ShownEndpoint(msgspec.Struct, frozen=True):
    """An address as a page shows it: a secret one by its ends alone; ``value`` names it in a form."""

    type: str
    address: str
    suppressed: SuppressionRecord | None

    @property
    def value(self) -> str:
        """Return what a form says to mean this address."""
        return f"{self.type} {self.address}"


class TestForm(msgspec.Struct):
    """Which address a test goes to: one as ``ShownEndpoint.value``, or all."""

    endpoint: str = ALL


class DeleteForm(msgspec.Struct):
    """What the delete page sends: the identifier, written out."""

    identifier: str = ""


@get("/recipients", sync_to_thread=True)
def index(place: NamedDependency[Place], q: FromQuery[str] = "", after: FromQuery[str] = "") -> Page:
    """List the recipients that hold ``q`` in their identifier, name or addresses."""
    text = q.replace("\0", "").strip()[:_LONGEST_SEARCH]
    behind = after if owned.is_identifier(after) else None
    with session.current().read() as reading:
        rows, more = recipients.listed(reading, place.service_id, PAGE, behind, text)
        suppressed = len(suppressions.page(reading, place.service_id, 100))
    return page(
        "recipients/index.html",
        place.viewer,
        current="recipients",
        place=place,
        rows=[
            (row, [ShownEndpoint(one.type, masked(one.type, one.address), None) for one in row.endpoints])
            for row in rows
        ],
        q=text,
        after=behind,
        further=rows[-1].identifier if more else None,
        suppressed=suppressed,
    )


@get("/recipients/{identifier:str}", sync_to_thread=True)
def show(place: NamedDependency[Place], identifier: FromPath[str]) -> Page:
    """Show one recipient."""
    return _page(place, identifier, Faults())


@post("/recipients/{identifier:str}/test", guards=[access.editors], sync_to_thread=True)
def send_test(
    place: NamedDependency[Place],
    identifier: FromPath[str],
    data: Annotated[TestForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Send a test message to one address, or to all, and lead to where it can be followed."""
    try:
        with session.current().write() as transaction:
            record = recipients.get(transaction, place.service_id, identifier)
            uids = recipient_test.store(transaction, _test(place, record, data.endpoint))
            detail = {"to": data.endpoint, "messages": len(uids)}
            _write_down(transaction, place, "recipient.tested", identifier, detail)
    except Problem as problem:
        if problem.code in {"not_found", "invalid_identifier"}:
            raise
        faults = Faults()
        faults.add("endpoint", f"Nothing was sent. {problem.detail}")
        return _page(place, identifier, faults, data.endpoint)
    if len(uids) == 1:
        return go(place.address(f"notifications/{uids[0]}"), "The test message is on its way; follow it here.")
    done = f"{len(uids)} test messages are on their way; follow them here."
    return go(place.address("notifications", recipient=identifier), done)


def _test(place: Place, record: RecipientRecord, wanted: str) -> RecipientTest:
    chosen = [one for one in record.endpoints if wanted in {ALL, f"{one.type} {masked(one.type, one.address)}"}]
    return RecipientTest(
        service_id=place.service_id,
        service_name=place.service_name,
        identifier=record.identifier,
        name=record.name,
        endpoints=chosen,
        sender=place.viewer.email,
    )


@get("/recipients/{identifier:str}/delete", guards=[access.editors], sync_to_thread=True)
def ask(place: NamedDependency[Place], identifier: FromPath[str]) -> Page:
    """Ask before a recipient is deleted, and say what uses it."""
    return _ask(place, identifier, Faults())


@post("/recipients/{identifier:str}/delete", guards=[access.editors], sync_to_thread=True)
def delete(
    place: NamedDependency[Place],
    identifier: FromPath[str],
    data: Annotated[DeleteForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Delete a recipient that no batch waits for."""
    faults = Faults()
    if data.identifier.strip() != identifier:
        faults.add("identifier", f"Write {identifier} to delete it.")
        return _ask(place, identifier, faults)
    with faults.on("identifier"), session.current().write() as transaction:
        recipients.get(transaction, place.service_id, identifier)
        recipient_usage.check_unused(transaction, place.service_id, identifier)
        recipients.delete(transaction, place.service_id, identifier)
        _write_down(transaction, place, "recipient.deleted", identifier)
    if faults:
        return _ask(place, identifier, faults)
    return go(place.address("recipients"), f"{identifier} is deleted.")


def _write_down(
    transaction: Any, place: Place, action: str, identifier: str, detail: dict[str, object] | None = None
) -> None:
    audit.record(transaction, place.actor, action, identifier, service_id=place.service_id, detail=detail or {})


def _ask(place: Place, identifier: str, faults: Faults) -> Page:
    with session.current().read() as reading:
        record = recipients.get(reading, place.service_id, identifier)
        waiting = recipient_usage.waiting(reading, place.service_id, identifier)
        used = recipient_usage.templates(reading, place.service_id, identifier)
    return page(
        "recipients/delete.html",
        place.viewer,
        current="recipients",
        place=place,
        status_code=faults.status,
        record=record,
        waiting=waiting,
        used=used,
        faults=faults,
    )


def _page(place: Place, identifier: str, faults: Faults, chosen: str = ALL) -> Page:
    with session.current().read() as reading:
        record = recipients.get(reading, place.service_id, identifier)
        used = recipient_usage.templates(reading, place.service_id, identifier)
        stopped = {
            kind: suppressions.records(reading, place.service_id, kind, [one.address for one in record.endpoints])
            for kind in {Channel(one.type) for one in record.endpoints}
        }
    endpoints = [
        ShownEndpoint(one.type, masked(one.type, one.address), stopped[Channel(one.type)].get(one.address))
        for one in record.endpoints
    ]
    return page(
        "recipients/show.html",
        place.viewer,
        current="recipients",
        place=place,
        status_code=faults.status,
        record=record,
        endpoints=endpoints,
        used=used,
        faults=faults,
        chosen=chosen,
    )


ROUTES = [index, show, send_test, ask, delete]
