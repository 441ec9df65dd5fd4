"""Where an API client is told of changes: its address, its signing secret, and what was posted there."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body, FromPath, FromQuery
from sqlalchemy.orm import Session

from backend.accounts import clients
from backend.callbacks import endpoints, messages
from backend.callbacks.endpoints import EndpointRecord
from backend.callbacks.messages import MessageRecord
from backend.db import session
from backend.db.models.accounts import ApiClient
from backend.lib.problems import Problem
from backend.portal import access
from backend.portal.access import Place
from backend.portal.forms import Faults
from backend.portal.pages import Page, go, page

_PAGE = 25
_ADMINISTRATORS = [access.administrators]


class AddressForm(msgspec.Struct):
    """The address that changes are posted to."""

    url: str = ""


@get("/clients/{client_id:str}/callback", sync_to_thread=True)
def show(place: NamedDependency[Place], client_id: FromPath[str], after: FromQuery[int | None] = None) -> Page:
    """Show the address and what was posted to it."""
    return _page(place, client_id, Faults(), after=after)


@post("/clients/{client_id:str}/callback", guards=_ADMINISTRATORS, sync_to_thread=True)
def register(
    place: NamedDependency[Place],
    client_id: FromPath[str],
    data: Annotated[AddressForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Set the address; the first time its secret is shown, once."""
    faults, made = Faults(), None
    with faults.on("url"), session.current().write() as transaction:
        client = _live(transaction, place, client_id)
        _, made = endpoints.register(transaction, client.id, place.service_id, data.url.strip(), place.actor)
    if faults or made:
        return _page(place, client_id, faults, url=data.url, secret=made.secret if made else None)
    return go(_address(place, client_id), "The address is saved.")


@post("/clients/{client_id:str}/callback/secret", guards=_ADMINISTRATORS, sync_to_thread=True)
def rotate(place: NamedDependency[Place], client_id: FromPath[str]) -> Page:
    """Make a new signing secret and show it, once."""
    with session.current().write() as transaction:
        client = _live(transaction, place, client_id)
        made = endpoints.rotate_secret(transaction, client.id, place.actor)
    return _page(place, client_id, Faults(), secret=made.secret)


@post("/clients/{client_id:str}/callback/enable", guards=_ADMINISTRATORS, sync_to_thread=True)
def enable(place: NamedDependency[Place], client_id: FromPath[str]) -> Response[Any]:
    """Switch the address on again."""
    with session.current().write() as transaction:
        endpoints.enable(transaction, _live(transaction, place, client_id).id, place.actor)
    return go(_address(place, client_id), "Callbacks are on again; what waits is posted now.")


@post("/clients/{client_id:str}/callback/disable", guards=_ADMINISTRATORS, sync_to_thread=True)
def disable(place: NamedDependency[Place], client_id: FromPath[str]) -> Response[Any]:
    """Switch the address off."""
    with session.current().write() as transaction:
        why = f"{place.viewer.email} switched it off."
        endpoints.disable(transaction, _live(transaction, place, client_id).id, why, place.actor)
    return go(_address(place, client_id), "Callbacks are switched off.")


@post("/clients/{client_id:str}/callback/remove", guards=_ADMINISTRATORS, sync_to_thread=True)
def remove(place: NamedDependency[Place], client_id: FromPath[str]) -> Response[Any]:
    """Forget the address."""
    with session.current().write() as transaction:
        client = clients.one_of_service(transaction, place.service_id, client_id)
        endpoints.remove(transaction, client.id, place.actor)
    return go(place.address(f"clients/{client_id}"), "The callback address is removed.")


@post(
    "/clients/{client_id:str}/callback/messages/{message_id:str}/redeliver",
    guards=_ADMINISTRATORS,
    sync_to_thread=True,
)
def redeliver(place: NamedDependency[Place], client_id: FromPath[str], message_id: FromPath[str]) -> Response[Any]:
    """Post one message again."""
    faults = Faults()
    try:
        with session.current().write() as transaction:
            messages.redeliver(transaction, _live(transaction, place, client_id).id, message_id, place.actor)
    except Problem as problem:
        if problem.code != "callback_disabled":
            raise
        faults.add("messages", problem.detail)
        return _page(place, client_id, faults)
    return go(_address(place, client_id), "It is posted again now.")


def _live(transaction: Session, place: Place, client_id: str) -> ApiClient:
    client = clients.one_of_service(transaction, place.service_id, client_id)
    if client.revoked_at is not None:
        raise Problem("not_found", "This API client has been revoked.")
    return client


def _address(place: Place, client_id: str) -> str:
    return place.address(f"clients/{client_id}/callback")


def _page(  # noqa: PLR0913 - what stands on the page, each named at the call
    place: Place,
    client_id: str,
    faults: Faults,
    *,
    url: str | None = None,
    secret: str | None = None,
    after: int | None = None,
) -> Page:
    with session.current().read() as reading:
        client = clients.one_of_service(reading, place.service_id, client_id)
        record, posted = _posted(reading, client.id, after)
    rows = posted[:_PAGE]
    return page(
        "callbacks/show.html",
        place.viewer,
        current="clients",
        place=place,
        status_code=faults.status,
        client=client,
        record=record,
        messages=[message for _, message in rows],
        further=rows[-1][0] if len(posted) > _PAGE else None,
        after=after,
        url=url if url is not None else record.url if record else "",
        secret=secret,
        faults=faults,
    )


def _posted(
    reading: Session, api_client_id: int, after: int | None
) -> tuple[EndpointRecord | None, list[tuple[int, MessageRecord]]]:
    try:
        record = endpoints.read(reading, api_client_id)
    except Problem as problem:
        if problem.code != "not_found":
            raise
        return None, []
    return record, messages.page(reading, api_client_id, _PAGE + 1, after)


ROUTES = [show, register, rotate, enable, disable, remove, redeliver]
