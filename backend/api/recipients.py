"""``/registry/v1/recipients``: the recipient groups of the client's service."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from anyio import to_thread
from litestar import Controller, Request, Response, delete, get, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from sqlalchemy.orm import Session

from backend.accounts import audit
from backend.accounts.access import Principal
from backend.accounts.audit import Actor
from backend.api import bodies, errors, parameters
from backend.api.guards import bearer, principal
from backend.api.parameters import Cursor, Limit
from backend.channels.addresses import masked
from backend.channels.base import Channel
from backend.db import database as db
from backend.lib import settings
from backend.registry import owned, recipient_usage, recipients
from backend.registry.lookup import Address
from backend.registry.recipients import RecipientRecord
from backend.registry.shapes import RecipientShape

RecipientId = Annotated[
    str,
    Parameter(
        description="The recipient's identifier, unique in the installation.", schema_extra={"pattern": owned.PATTERN}
    ),
]


class Endpoint(msgspec.Struct, frozen=True):
    """One address on one channel."""

    type: Channel
    address: str


class RecipientAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A recipient as it is stored; addresses are in the canonical form of their channel.

    Of addresses that are secrets (webhooks, APPRISE) only the ends are shown, as in ``https://host/…abcd``.
    ``language`` is there where it is known.
    """

    identifier: str
    name: str
    endpoints: list[Endpoint]
    created_at: datetime
    updated_at: datetime
    language: str | None = None


class RecipientPage(msgspec.Struct, frozen=True):
    """Recipients in order of identifier; ``next_cursor`` leads to the following page and is null on the last."""

    recipients: list[RecipientAnswer]
    next_cursor: str | None


def _answer(record: RecipientRecord) -> RecipientAnswer:
    endpoints = [Endpoint(Channel(one.type), masked(one.type, one.address)) for one in record.endpoints]
    return RecipientAnswer(
        record.identifier, record.name, endpoints, record.created_at, record.updated_at, record.language
    )


def _store(caller: Principal, identifier: str, body: RecipientShape) -> Response[RecipientAnswer]:
    owned.check_identifier(identifier)
    given = [Address(endpoint.type.value, endpoint.address) for endpoint in body.endpoints]
    service_id = caller.service_id
    with db.current().read() as session:
        meant = recipients.unmasked(session, service_id, identifier, given)
    endpoints = recipients.canonical_endpoints(meant, settings.current().outbound_allow)
    with db.current().transaction() as session:
        before = recipients.present(session, service_id, identifier)
        record, created = recipients.put(session, service_id, identifier, body.name, endpoints, body.language)
        if before != record:
            _write_down(session, caller, "recipient.made" if created else "recipient.changed", identifier)
    return Response(_answer(record), status_code=201 if created else 200)


def _write_down(session: Session, caller: Principal, action: str, identifier: str) -> None:
    audit.record(session, Actor("client", caller.client_id), action, identifier, service_id=caller.service_id)


class Recipients(Controller):
    """Recipient groups."""

    path = "/registry/v1/recipients"
    tags = ("Recipients",)
    guards = (bearer,)

    @put(
        "/{recipient_id:str}",
        operation_id="putRecipient",
        summary="Store a recipient",
        description=(
            "Creates the recipient or replaces it as a whole. An address that is a secret is answered with its ends "
            "alone, `https://host/…abcd`; sent back so, it stays what it is."
        ),
        opt={"scope": "registry:write", "body": RecipientShape},
        responses={201: ResponseSpec(data_container=RecipientAnswer, description="Created")}
        | errors.documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
    )
    async def store(self, request: Request[Any, Any, Any], recipient_id: RecipientId) -> Response[RecipientAnswer]:
        """Store a recipient: 201 when it is new, 200 otherwise."""
        caller = principal(request)
        owned.check_identifier(recipient_id)
        body = await bodies.read(request, RecipientShape)
        return await to_thread.run_sync(_store, caller, recipient_id, body)

    @get(
        "/{recipient_id:str}",
        operation_id="getRecipient",
        summary="Read a recipient",
        opt={"scope": "registry:read"},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def show(self, request: Request[Any, Any, Any], recipient_id: RecipientId) -> RecipientAnswer:
        """Return one recipient."""
        with db.current().read() as session:
            return _answer(recipients.get(session, principal(request).service_id, recipient_id))

    @get(
        operation_id="listRecipients",
        summary="List recipients",
        opt={"scope": "registry:read", "query": ("limit", "cursor")},
        responses=errors.documented(400, 401, 403, 429, 503),
        sync_to_thread=True,
    )
    def index(self, request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None) -> RecipientPage:
        """Return a page of recipients, shorter than asked for where they have very many endpoints."""
        after = parameters.after(cursor, str)
        with db.current().read() as session:
            found, more = recipients.listed(session, principal(request).service_id, limit, after)
        cursor = parameters.next_cursor(found[-1].identifier if more else None)
        return RecipientPage([_answer(record) for record in found], cursor)

    @delete(
        "/{recipient_id:str}",
        operation_id="deleteRecipient",
        summary="Delete a recipient",
        description="Its identifier stays reserved for the service; storing it again revives it.",
        opt={"scope": "registry:write"},
        responses=errors.documented(400, 401, 403, 404, 409, 429, 503),
        sync_to_thread=True,
    )
    def remove(self, request: Request[Any, Any, Any], recipient_id: RecipientId) -> None:
        """Delete one recipient."""
        caller = principal(request)
        with db.current().transaction() as session:
            recipient_usage.check_unscheduled(session, caller.service_id, recipient_id)
            recipients.delete(session, caller.service_id, recipient_id)
            _write_down(session, caller, "recipient.deleted", recipient_id)


ROUTES = [Recipients]
