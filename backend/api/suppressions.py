"""``/registry/v1/suppressions``: the addresses that the client's service sends nothing to."""

from operator import itemgetter
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, Request, delete, get
from litestar.params import Parameter

from backend.accounts import audit
from backend.accounts.audit import Actor
from backend.api import errors, parameters
from backend.api.guards import bearer, principal
from backend.api.parameters import Cursor, Limit
from backend.db import database as db
from backend.registry import suppressions
from backend.registry.suppressions import SuppressionRecord


class SuppressionPage(msgspec.Struct, frozen=True):
    """Suppressed addresses, the latest first; ``next_cursor`` leads to the following page and is null on the last."""

    suppressions: list[SuppressionRecord]
    next_cursor: str | None


class Suppressions(Controller):
    """Suppressed addresses."""

    path = "/registry/v1/suppressions"
    tags = ("Suppressions",)
    guards = (bearer,)

    @get(
        operation_id="listSuppressions",
        summary="List suppressed addresses",
        description="Addresses that bounced for good or whose reader complained; deliveries to them fail unsent.",
        opt={"scope": "registry:read", "query": ("limit", "cursor")},
        responses=errors.documented(400, 401, 403, 429, 503),
        sync_to_thread=True,
    )
    def index(self, request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None) -> SuppressionPage:
        """Return a page of addresses."""
        after = parameters.after(cursor, int)
        with db.current().read() as session:
            found = suppressions.page(session, principal(request).service_id, limit + 1, after)
        shown, more = parameters.cut(found, limit, itemgetter(0))
        return SuppressionPage([record for _, record in shown], more)

    @delete(
        "/{channel:str}/{address:str}",
        operation_id="deleteSuppression",
        summary="Free a suppressed address",
        description="Lets the service send to the address again.",
        opt={"scope": "registry:write"},
        responses=errors.documented(400, 401, 403, 404, 429, 503),
        sync_to_thread=True,
    )
    def free(
        self,
        request: Request[Any, Any, Any],
        channel: Annotated[Literal["EMAIL", "SMS"], Parameter(description="The channel that the address belongs to.")],
        address: Annotated[str, Parameter(description="The address as the list shows it, percent-encoded.")],
    ) -> None:
        """Free an address."""
        caller = principal(request)
        with db.current().transaction() as session:
            freed = suppressions.free(session, caller.service_id, channel, address)
            audit.record(
                session,
                Actor("client", caller.client_id),
                "address.freed",
                f"{channel} {freed}",
                service_id=caller.service_id,
            )


ROUTES = [Suppressions]
