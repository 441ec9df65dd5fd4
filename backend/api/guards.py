"""What stands before a guarded address: the access token, its scope, and the client's rate limit."""

from typing import Any

from anyio import to_thread
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Message, Scope

from backend.accounts import access, rate_limits
from backend.accounts.access import Principal
from backend.accounts.rate_limits import Quota
from backend.api import middleware, parameters
from backend.lib.problems import Problem

QUOTA = "rate_limit_quota"
# In ``handler.opt``: its answer over the limit needs the body too, of which the notification's id is made.
LATE = "refuses_with_identity"
_REFUSAL = "late_refusal"


async def bearer(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request pass whose access token has the scope of ``handler.opt["scope"]``, within its rate limit.

    The query's parameters are those that ``handler.opt["query"]`` names, and no others. All of this is one guard,
    because the framework copies the handler for each.
    """
    if connection.scope.get("method") == "OPTIONS":
        return  # answered by the framework: the methods of the address, which the documentation tells anyway
    header, scope = connection.headers.get("authorization"), handler.opt["scope"]
    assertion = access.assertion(connection.scope["headers"], middleware.of(connection.scope))
    found = access.recognised(header, scope, assertion)
    if found is None:
        found = await to_thread.run_sync(access.authenticate, header, scope, assertion)
    connection.scope["auth"] = found
    try:
        connection.scope["state"][QUOTA] = await rate_limits.hit(found.api_client_id)
    except Problem as problem:
        if not handler.opt.get(LATE) or problem.code != "rate_limited":
            raise
        connection.scope["state"][_REFUSAL] = problem
    if connection.scope["query_string"]:
        parameters.check_names(connection, handler.opt.get("query", ()))


def principal(request: Request[Any, Any, Any]) -> Principal:
    """Return whom the guard has let pass."""
    found = request.scope["auth"]
    if not isinstance(found, Principal):
        raise TypeError("This address is not guarded by backend.api.guards.bearer.")
    return found


def late_refusal(request: Request[Any, Any, Any]) -> Problem | None:
    """Return why the request is over its client's limit, if the guard has left the answer to the handler."""
    found = request.scope["state"].get(_REFUSAL)
    return found if isinstance(found, Problem) else None


async def tell_rate_limit(message: Message, scope: Scope) -> None:
    """Add what is left of the client's requests to an answer: a ``before_send`` hook of the application."""
    if message["type"] != "http.response.start":
        return
    quota = scope["state"].get(QUOTA)
    if isinstance(quota, Quota):
        added = [(name.lower().encode(), value.encode()) for name, value in quota.headers.items()]
        message["headers"] = [*message["headers"], *added]
