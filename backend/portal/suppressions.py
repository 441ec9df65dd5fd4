"""Suppressed addresses of a service: which, why, since when, and freeing them by hand."""

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromQuery

from backend.accounts import audit
from backend.db import database as db
from backend.lib import inputs
from backend.portal import access
from backend.portal.access import Workspace
from backend.portal.forms import Sent
from backend.portal.pages import Page, go, page
from backend.registry import address_ids, owned, suppressions

_PAGE = 50


class FreeForm(msgspec.Struct):
    """Which address to free; ``recipient`` or ``page`` is the page to go back to, empty for the list.

    ``page`` is the name of the address's own page.
    """

    channel: str = ""
    address: str = ""
    recipient: str = ""
    page: str = ""


@get("/suppressions", sync_to_thread=True)
def index(workspace: NamedDependency[Workspace], after: FromQuery[int | None] = None) -> Page:
    """List the suppressed addresses, the latest first."""
    with db.current().read() as reading:
        found = suppressions.page(reading, workspace.service_id, _PAGE + 1, inputs.bounded(after))
    rows = found[:_PAGE]
    return page(
        "suppressions/index.html",
        workspace.viewer,
        current="recipients",
        workspace=workspace,
        rows=[(record, address_ids.seal(workspace.service_id, record.address)) for _, record in rows],
        after=after,
        further=rows[-1][0] if len(found) > _PAGE else None,
    )


@post("/suppressions/free", guards=[access.editors], sync_to_thread=True)
def free(workspace: NamedDependency[Workspace], data: Sent[FreeForm]) -> Response[Any]:
    """Let an address be sent to again."""
    with db.current().transaction() as transaction:
        address = suppressions.free(transaction, workspace.service_id, data.channel, data.address)
        detail = {"channel": data.channel}
        audit.record(
            transaction, workspace.actor, "suppression.freed", address, service_id=workspace.service_id, detail=detail
        )
    back = f"recipients/{data.recipient}" if owned.is_identifier(data.recipient) else "suppressions"
    if data.page:
        back = f"addresses/{address_ids.seal(workspace.service_id, address)}"
    return go(workspace.address(back), f"{address} is free: messages go to it again.")


ROUTES = [index, free]
