"""``/registry/v1/policies``: the policies of the client's service."""

from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from anyio import to_thread
from litestar import Controller, Request, Response, delete, get, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Parameter

from backend.accounts import audit
from backend.accounts.access import Principal
from backend.accounts.audit import Actor
from backend.api import bodies, errors, parameters
from backend.api.guards import bearer, principal
from backend.api.parameters import Cursor, Limit
from backend.channels.base import Channel
from backend.db import database as db
from backend.intake.obligations import PolicyShape, check
from backend.registry import owned, policies
from backend.registry.policies import PolicyRecord

PolicyId = Annotated[
    str,
    Parameter(
        description="The policy's identifier, unique in the installation.", schema_extra={"pattern": owned.PATTERN}
    ),
]


class PolicyChannelAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """To whom a step goes, and how; what is not there, the notification says."""

    type: Channel
    recipient: list[str]
    template_id: str | None = None
    subject: str | None = None
    content_type: str | None = None
    language: str | None = None
    sender: str | None = None
    reply_to: str | None = None


class PolicyStepAnswer(msgspec.Struct, frozen=True):
    """A step; without channels it says when the worklist's turn is."""

    after: str
    channels: list[PolicyChannelAnswer]


class PolicyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A policy as it is stored."""

    identifier: str
    name: str
    until: str
    steps: list[PolicyStepAnswer]
    at_last: str
    updated_at: datetime


class PolicyPage(msgspec.Struct, frozen=True):
    """Policies in order of identifier; ``next_cursor`` leads to the following page and is null on the last."""

    policies: list[PolicyAnswer]
    next_cursor: str | None


def _answer(record: PolicyRecord) -> PolicyAnswer:
    return msgspec.convert(msgspec.structs.asdict(record), PolicyAnswer)


def _store(caller: Principal, identifier: str, body: PolicyShape) -> Response[PolicyAnswer]:
    with db.current().transaction() as session:
        content = check(session, caller.service_id, body)
        record, created, changed = policies.put(session, caller.service_id, identifier, content)
        if changed:
            _write_down(session, caller, "policy.made" if created else "policy.changed", identifier)
    return Response(_answer(record), status_code=201 if created else 200)


def _write_down(session: Any, caller: Principal, action: str, identifier: str) -> None:
    audit.record(session, Actor("client", caller.client_id), action, identifier, service_id=caller.service_id)


class Policies(Controller):
    """Policies: who is told when, until somebody answers."""

    path = "/registry/v1/policies"
    tags = ("Policies",)
    guards = (bearer,)

    @put(
        "/{policy_id:str}",
        operation_id="putPolicy",
        summary="Store a policy",
        description="Creates the policy or replaces it as a whole. What was accepted before goes on as it was then.",
        opt={"scope": "registry:write", "body": PolicyShape},
        responses={201: ResponseSpec(data_container=PolicyAnswer, description="Created")}
        | errors.documented(400, 401, 403, 409, 413, 415, 422, 429, 503),
    )
    async def store(self, request: Request[Any, Any, Any], policy_id: PolicyId) -> Response[PolicyAnswer]:
        """Store a policy: 201 when it is new, 200 otherwise."""
        caller = principal(request)
        owned.check_identifier(policy_id)
        body = await bodies.read(request, PolicyShape)
        return await to_thread.run_sync(_store, caller, policy_id, body)

    @get(
        "/{policy_id:str}",
        operation_id="getPolicy",
        summary="Read a policy",
        opt={"scope": "registry:read"},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def show(self, request: Request[Any, Any, Any], policy_id: PolicyId) -> PolicyAnswer:
        """Return one policy."""
        with db.current().read() as session:
            return _answer(policies.get(session, principal(request).service_id, policy_id))

    @get(
        operation_id="listPolicies",
        summary="List policies",
        opt={"scope": "registry:read", "query": ("limit", "cursor")},
        responses=errors.documented(400, 401, 403, 429, 503),
        sync_to_thread=True,
    )
    def index(self, request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None) -> PolicyPage:
        """Return a page of policies."""
        after = parameters.after(cursor, str)
        with db.current().read() as session:
            found = policies.page(session, principal(request).service_id, limit + 1, after)
        shown, more = parameters.cut(found, limit, attrgetter("identifier"))
        return PolicyPage([_answer(record) for record in shown], more)

    @delete(
        "/{policy_id:str}",
        operation_id="deletePolicy",
        summary="Delete a policy",
        description="Its identifier stays reserved for the service. What was accepted by it goes on.",
        opt={"scope": "registry:write"},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def remove(self, request: Request[Any, Any, Any], policy_id: PolicyId) -> None:
        """Delete one policy."""
        caller = principal(request)
        with db.current().transaction() as session:
            policies.delete(session, caller.service_id, policy_id)
            _write_down(session, caller, "policy.deleted", policy_id)


ROUTES = [Policies]
