"""Suppressed addresses of a service: which, why, since when, and freeing them by hand."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromQuery

from backend.accounts import audit
from backend.db import session
from backend.portal import access
from backend.portal.access import Place
from backend.portal.pages import Page, go, page
from backend.registry import owned, suppressions

_PAGE = 50


class FreeForm(msgspec.Struct):
    """Which address to free; ``recipient`` is the page to go back to, empty for the list."""

    channel: str = ""
    address: str = ""
    recipient: str = ""


@get("/suppressions", sync_to_thread=True)
def index(place: NamedDependency[Place], after: FromQuery[int | None] = None) -> Page:
    """List the suppressed addresses, the latest first."""
    with session.current().read() as reading:
        found = suppressions.page(reading, place.service_id, _PAGE + 1, after)
    rows = found[:_PAGE]
    return page(
        "suppressions/index.html",
        place.viewer,
        current="recipients",
        place=place,
        rows=[record for _, record in rows],
        after=after,
        further=rows[-1][0] if len(found) > _PAGE else None,
    )


@post("/suppressions/free", guards=[access.editors], sync_to_thread=True)
def free(
    place: NamedDependency[Place], data: Annotated[FreeForm, Body(media_type=RequestEncodingType.URL_ENCODED)]
) -> Response[Any]:
    """Let an address be sent to again."""
    with session.current().write() as transaction:
        address = suppressions.free(transaction, place.service_id, data.channel, data.address)
        detail = {"channel": data.channel}
        audit.record(transaction, place.actor, "suppression.freed", address, service_id=place.service_id, detail=detail)
    back = f"recipients/{data.recipient}" if owned.is_identifier(data.recipient) else "suppressions"
    return go(place.address(back), f"{address} is free: messages go to it again.")


ROUTES = [index, free]
