"""Recipients: the list, one with its addresses and where it is used, a test message to it, deleting it."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from backend.accounts import audit
from backend.channels.addresses import masked
from backend.channels.base import Channel
from backend.db import database as db
from backend.intake import address_tests
from backend.intake.address_tests import AddressTest
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page
from backend.portal.sending_rules import whether_it_leaves
from backend.registry import address_ids, owned, recipient_usage, recipients, sending_rules, suppressions
from backend.registry.lookup import Address
from backend.registry.recipients import RecipientRecord
from backend.registry.sending import Subject
from backend.registry.suppressions import SuppressionRecord

PAGE = 50
_LONGEST_SEARCH = 100
ALL = "all"


class ShownEndpoint(msgspec.Struct, frozen=True):
    """An address as a page shows it: a secret one by its ends alone.

    ``value`` names it in a form, ``address_id`` the page of its own.
    """

    type: str
    address: str
    address_id: str
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
def index(workspace: NamedDependency[Workspace], q: FromQuery[str] = "", after: FromQuery[str] = "") -> Page:
    """List the recipients that hold ``q`` in their identifier, name or addresses."""
    text = searched(q)
    behind = after if owned.is_identifier(after) else None
    with db.current().read() as reading:
        rows, more = recipients.listed(reading, workspace.service_id, PAGE, behind, text)
        suppressed = len(suppressions.page(reading, workspace.service_id, 100))
    return page(
        "recipients/index.html",
        workspace.viewer,
        current="recipients",
        workspace=workspace,
        rows=[(row, [_shown(workspace, one, None) for one in row.endpoints]) for row in rows],
        q=text,
        after=behind,
        further=rows[-1].identifier if more else None,
        suppressed=suppressed,
    )


def searched(q: str) -> str:
    """Return the text that recipients are to hold, as it was asked for."""
    return q.replace("\0", "").strip()[:_LONGEST_SEARCH]


def _shown(workspace: Workspace, one: Address, suppressed: SuppressionRecord | None) -> ShownEndpoint:
    name = address_ids.seal(workspace.service_id, one.address)
    return ShownEndpoint(one.type, masked(one.type, one.address), name, suppressed)


@get("/recipients/{identifier:str}", sync_to_thread=True)
def show(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Page:
    """Show one recipient."""
    return _page(workspace, identifier, Faults())


@post("/recipients/{identifier:str}/test", guards=[access.editors], sync_to_thread=True)
def send_test(workspace: NamedDependency[Workspace], identifier: FromPath[str], data: Sent[TestForm]) -> Response[Any]:
    """Send a test message to one address, or to all, and lead to where it can be followed."""
    try:
        with db.current().transaction() as transaction:
            record = recipients.get(transaction, workspace.service_id, identifier)
            uids = address_tests.store(transaction, _test(workspace, record, data.endpoint))
            detail = {"to": data.endpoint, "messages": len(uids)}
            _write_down(transaction, workspace, "recipient.tested", identifier, detail)
    except Problem as problem:
        if problem.code in {"not_found", "invalid_identifier"}:
            raise
        faults = Faults()
        faults.add("endpoint", f"Nothing was sent. {problem.detail}")
        return _page(workspace, identifier, faults, data.endpoint)
    if len(uids) == 1:
        return go(workspace.address(f"notifications/{uids[0]}"), "The test message is on its way; follow it here.")
    done = f"{len(uids)} test messages are on their way; follow them here."
    return go(workspace.address("notifications", recipient=identifier), done)


def _test(workspace: Workspace, record: RecipientRecord, wanted: str) -> AddressTest:
    chosen = [one for one in record.endpoints if wanted in {ALL, f"{one.type} {masked(one.type, one.address)}"}]
    return AddressTest(
        service_id=workspace.service_id,
        service_name=workspace.service_name,
        identifier=record.identifier,
        name=record.name,
        endpoints=chosen,
        sender=workspace.viewer.email,
    )


@get("/recipients/{identifier:str}/delete", guards=[access.editors], sync_to_thread=True)
def ask(workspace: NamedDependency[Workspace], identifier: FromPath[str]) -> Page:
    """Ask before a recipient is deleted, and say what uses it."""
    return _ask(workspace, identifier, Faults())


@post("/recipients/{identifier:str}/delete", guards=[access.editors], sync_to_thread=True)
def delete(workspace: NamedDependency[Workspace], identifier: FromPath[str], data: Sent[DeleteForm]) -> Response[Any]:
    """Delete a recipient that no batch waits for."""
    faults = Faults()
    if data.identifier.strip() != identifier:
        faults.add("identifier", f"Write {identifier} to delete it.")
        return _ask(workspace, identifier, faults)
    with faults.on("identifier"), db.current().transaction() as transaction:
        recipients.get(transaction, workspace.service_id, identifier)
        recipient_usage.check_unused(transaction, workspace.service_id, identifier)
        recipients.delete(transaction, workspace.service_id, identifier)
        _write_down(transaction, workspace, "recipient.deleted", identifier)
    if faults:
        return _ask(workspace, identifier, faults)
    return go(workspace.address("recipients"), f"{identifier} is deleted.")


def _write_down(
    transaction: Any, workspace: Workspace, action: str, identifier: str, detail: dict[str, object] | None = None
) -> None:
    audit.record(transaction, workspace.actor, action, identifier, service_id=workspace.service_id, detail=detail or {})


def _ask(workspace: Workspace, identifier: str, faults: Faults) -> Page:
    with db.current().read() as reading:
        record = recipients.get(reading, workspace.service_id, identifier)
        waiting = recipient_usage.waiting(reading, workspace.service_id, identifier)
        used = recipient_usage.templates(reading, workspace.service_id, identifier)
    return page(
        "recipients/delete.html",
        workspace.viewer,
        current="recipients",
        workspace=workspace,
        status_code=faults.status,
        record=record,
        waiting=waiting,
        used=used,
        faults=faults,
    )


def _page(workspace: Workspace, identifier: str, faults: Faults, chosen: str = ALL) -> Page:
    with db.current().read() as reading:
        record = recipients.get(reading, workspace.service_id, identifier)
        used = recipient_usage.templates(reading, workspace.service_id, identifier)
        rule = sending_rules.get(reading, workspace.service_id, Subject("recipient", identifier))
        stopped = {
            kind: suppressions.records(reading, workspace.service_id, kind, [one.address for one in record.endpoints])
            for kind in {Channel(one.type) for one in record.endpoints}
        }
    endpoints = [_shown(workspace, one, stopped[Channel(one.type)].get(one.address)) for one in record.endpoints]
    return page(
        "recipients/show.html",
        workspace.viewer,
        current="recipients",
        workspace=workspace,
        status_code=faults.status,
        record=record,
        endpoints=endpoints,
        used=used,
        **whether_it_leaves(rule),
        faults=faults,
        chosen=chosen,
    )


ROUTES = [index, show, send_test, ask, delete]
