"""``/registry/v1/callback``: where the calling API client hears of its notifications, signed as Standard Webhooks."""

from operator import itemgetter
from typing import Annotated, Any

import msgspec
from anyio import to_thread
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter
from pydantic import Field

from backend.accounts.access import Principal
from backend.accounts.audit import Actor
from backend.api import bodies, errors, parameters
from backend.api.guards import bearer, principal
from backend.api.parameters import Cursor, Limit
from backend.callbacks import endpoints, messages
from backend.callbacks.endpoints import EndpointRecord, NewSigningSecret
from backend.callbacks.messages import MessageRecord
from backend.db import database as db
from backend.lib.strict_json import Shape

_TOLD = (
    "Each change of a notification's status is posted there as JSON `{type, timestamp, data}`, signed as the Standard "
    "Webhooks specification says (`webhook-id`, `webhook-timestamp`, `webhook-signature`). Types: `notification.sent`, "
    "`notification.delivered`, `notification.partial`, `notification.failed`, `notification.cancelled`, "
    "`notification.at_risk` (a scheduled one could not be sent as things are, and why), `delivery.failed`; of an "
    "obligation `obligation.step_taken`, `obligation.step_refused`, `obligation.met`, `obligation.worklist` and "
    "`obligation.closed`, of a matter about which it sent something `matter.resolved`. Any 2xx "
    "takes a message; everything else is tried again nine times within three days; 410 switches the address off. "
    "Messages may come twice (with the same `webhook-id`) and in any order."
)
MessageId = Annotated[
    str, Parameter(description="The message's `webhook-id`.", schema_extra={"pattern": "^msg_[0-9a-f]{32}$"})
]


class CallbackShape(Shape):
    """The address that status changes are posted to."""

    url: str = Field(
        min_length=1,
        max_length=2048,
        description="A public https address on port 443, without user name and fragment.",
        examples=["https://lims.lab.example/carillon"],
    )


class CallbackAnswer(EndpointRecord, frozen=True, kw_only=True):
    """A callback address. ``secret`` is there once, when it is made; two ``secrets`` sign for a day after a change."""

    secret: str | None

    def __repr__(self) -> str:
        return f"CallbackAnswer({self.url!r})"


class CallbackMessagePage(msgspec.Struct, frozen=True):
    """Messages, the latest first; ``next_cursor`` leads to the following page and is null on the last."""

    messages: list[MessageRecord]
    next_cursor: str | None


def _answer(record: EndpointRecord, secret: str | None = None) -> CallbackAnswer:
    return CallbackAnswer(**msgspec.structs.asdict(record), secret=secret)


def _actor(caller: Principal) -> Actor:
    return Actor("client", caller.client_id)


def _register(caller: Principal, url: str) -> Response[CallbackAnswer]:
    with db.current().transaction() as session:
        record, made = endpoints.register(session, caller.api_client_id, caller.service_id, url, _actor(caller))
    return Response(_answer(record, made.secret if made else None), status_code=201 if made else 200)


class Callbacks(Controller):
    """The callback address of the calling client."""

    path = "/registry/v1/callback"
    tags = ("Callbacks",)
    guards = (bearer,)

    @put(
        operation_id="putCallback",
        summary="Set the callback address",
        description=f"Sets where this API client hears of its notifications. {_TOLD} The answer holds the signing "
        "secret when the address is new; a change of address keeps it.",
        opt={"scope": "registry:write", "body": CallbackShape},
        responses={201: ResponseSpec(data_container=CallbackAnswer, description="Created")}
        | errors.documented(400, 401, 403, 413, 415, 422, 429, 503),
    )
    async def store(self, request: Request[Any, Any, Any]) -> Response[CallbackAnswer]:
        """Set the address: 201 with the secret when there was none, 200 otherwise."""
        caller = principal(request)
        body = await bodies.read(request, CallbackShape)
        return await to_thread.run_sync(_register, caller, body.url)

    @get(
        operation_id="getCallback",
        summary="Read the callback address",
        opt={"scope": "registry:read"},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def show(self, request: Request[Any, Any, Any]) -> CallbackAnswer:
        """Return the address and how it fares."""
        with db.current().read() as session:
            return _answer(endpoints.read(session, principal(request).api_client_id))

    @delete(
        operation_id="deleteCallback",
        summary="Remove the callback address",
        description="Removes the address, its secrets and its messages.",
        opt={"scope": "registry:write"},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def remove(self, request: Request[Any, Any, Any]) -> None:
        """Remove the address."""
        caller = principal(request)
        with db.current().transaction() as session:
            endpoints.remove(session, caller.api_client_id, _actor(caller))

    @post(
        "/secret",
        operation_id="rotateCallbackSecret",
        summary="Make a new signing secret",
        description="The secret before it signs along for a day, so that both signatures are in the header.",
        opt={"scope": "registry:write"},
        status_code=201,
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def rotate(self, request: Request[Any, Any, Any]) -> NewSigningSecret:
        """Make a new secret."""
        caller = principal(request)
        with db.current().transaction() as session:
            return endpoints.rotate_secret(session, caller.api_client_id, _actor(caller))

    @post(
        "/enable",
        operation_id="enableCallback",
        summary="Switch the callback address on again",
        description="What was waiting is posted; what changed while it was off is not told.",
        opt={"scope": "registry:write"},
        status_code=200,
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def enable(self, request: Request[Any, Any, Any]) -> CallbackAnswer:
        """Switch the address on."""
        caller = principal(request)
        with db.current().transaction() as session:
            return _answer(endpoints.enable(session, caller.api_client_id, _actor(caller)))

    @post(
        "/disable",
        operation_id="disableCallback",
        summary="Switch the callback address off",
        opt={"scope": "registry:write"},
        status_code=200,
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def disable(self, request: Request[Any, Any, Any]) -> CallbackAnswer:
        """Switch the address off."""
        caller = principal(request)
        with db.current().transaction() as session:
            why = "The API client switched it off."
            return _answer(endpoints.disable(session, caller.api_client_id, why, _actor(caller)))

    @get(
        "/messages",
        operation_id="listCallbackMessages",
        summary="List callback messages",
        description="What was posted and what is to be, the latest first.",
        opt={"scope": "registry:read", "query": ("limit", "cursor")},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def index(self, request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None) -> CallbackMessagePage:
        """Return a page of messages."""
        after = parameters.after(cursor, int)
        with db.current().read() as session:
            found = messages.page(session, principal(request).api_client_id, limit + 1, after)
        shown, more = parameters.cut(found, limit, itemgetter(0))
        return CallbackMessagePage([record for _, record in shown], more)

    @post(
        "/messages/{message_id:str}/redeliver",
        operation_id="redeliverCallbackMessage",
        summary="Post a callback message again",
        opt={"scope": "registry:write"},
        status_code=202,
        responses=errors.documented(400, 401, 403, 404, 409, 429, 503),
        sync_to_thread=True,
    )
    def redeliver(self, request: Request[Any, Any, Any], message_id: MessageId) -> MessageRecord:
        """Post one message again."""
        caller = principal(request)
        with db.current().transaction() as session:
            return messages.redeliver(session, caller.api_client_id, message_id, _actor(caller))


ROUTES = [Callbacks]
