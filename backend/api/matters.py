"""Matters: what several messages are about, as one conversation over all channels; saying that it is resolved."""

from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from anyio import to_thread
from litestar import Request, get, post
from litestar.params import Parameter
from pydantic import Field

from backend.accounts.access import Principal
from backend.accounts.audit import Actor
from backend.api import bodies, errors, parameters
from backend.api.guards import bearer, principal
from backend.db import database as db
from backend.intake import matters as resolving
from backend.intake.schema import MAX_AGGREGATOR, is_aggregator
from backend.lib.strict_json import Shape
from backend.reports import matters
from backend.reports.matters import MatterReport

PATH = "/notifications/v1/matters"
LONGEST_NOTE = 2000
_TAGS = ["Matters"]
_PAGE = 50
_AnyRequest = Request[Any, Any, Any]
Matter = Annotated[
    str,
    Parameter(
        description="The `matter` of the notifications, or their `aggregator_id` where they name none.",
        schema_extra={"max_length": MAX_AGGREGATOR},
    ),
]


class ResolveShape(Shape):
    """How a matter ended, for those who were told of it."""

    note: Annotated[
        str | None, Field(min_length=1, max_length=LONGEST_NOTE, description="What its readers are told besides.")
    ] = None


@get(
    f"{PATH}/{{matter:str}}",
    guards=[bearer],
    opt={"scope": "notifications:read", "query": ("limit", "cursor")},
    responses=errors.documented(400, 401, 403, 404, 429, 503),
    tags=_TAGS,
    operation_id="getMatter",
    summary="Read a matter",
    sync_to_thread=True,
)
def show(
    request: _AnyRequest, matter: Matter, limit: parameters.Limit = _PAGE, cursor: parameters.Cursor = None
) -> MatterReport:
    """Tell whether a matter is open, and what was sent about it over all channels, the newest first."""
    before = parameters.after(cursor, int)
    return _report(principal(request).service_id, _asked(matter), limit, before)


@post(
    f"{PATH}/{{matter:str}}/resolve",
    guards=[bearer],
    opt={"scope": "notifications:send", "body": ResolveShape},
    status_code=200,
    responses=errors.documented(400, 401, 403, 404, 413, 415, 422, 429, 503),
    tags=_TAGS,
    operation_id="resolveMatter",
    summary="Say that a matter is resolved",
)
async def resolve(request: _AnyRequest, matter: Matter) -> MatterReport:
    """Say so on every conversation about it: in its e-mail and Slack threads, on its ticket, and so on.

    Of a matter that is resolved already nobody is told again. Its next message opens it again.
    """
    asked = _asked(matter)
    # The body may be left out: there is nothing that it must say.
    note = (await bodies.read(request, ResolveShape)).note if await request.body() else None
    return await to_thread.run_sync(_resolve, principal(request), asked, note)


def _resolve(caller: Principal, matter: str, note: str | None) -> MatterReport:
    resolving.resolve(caller.service_id, matter, note, Actor("client", caller.client_id), caller.manner)
    return _report(caller.service_id, matter, _PAGE, None)


def _report(service_id: int, matter: str, limit: int, before: int | None) -> MatterReport:
    with db.current().read() as session:
        found = matters.report(session, service_id, matter, limit=limit, before=before)
    if found is None:
        raise resolving.unknown()
    made, last = found
    return msgspec.structs.replace(made, next_cursor=parameters.next_cursor(last))


def _asked(matter: str) -> str:
    """Return what can be a matter; it comes as the path has it, for a slash in it is ``%2F`` there."""
    found = unquote(matter)
    if not is_aggregator(found):
        raise resolving.unknown()
    return found


ROUTES = [show, resolve]
