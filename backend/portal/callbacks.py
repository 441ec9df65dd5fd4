"""Where an API client is told of changes: its address, its signing secret, and what was posted there."""

from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery
from sqlalchemy.orm import Session

from backend.accounts import clients
from backend.callbacks import endpoints, messages
from backend.callbacks.endpoints import EndpointRecord
from backend.callbacks.messages import MessageRecord
from backend.db import database as db
from backend.db.models.accounts import ApiClient
from backend.lib import inputs
from backend.lib.problems import Problem, if_found
from backend.portal import access, revealed
from backend.portal.access import Workspace
from backend.portal.forms import Faults, Sent
from backend.portal.pages import Page, go, page

_PAGE = 25
_ADMINISTRATORS = [access.administrators]


class AddressForm(msgspec.Struct):
    """The address that changes are posted to."""

    url: str = ""


@get("/clients/{client_id:str}/callback", sync_to_thread=True)
def show(
    request: Request[Any, Any, Any],
    workspace: NamedDependency[Workspace],
    client_id: FromPath[str],
    after: FromQuery[int | None] = None,
) -> Response[Any]:
    """Show the address and what was posted to it; a secret that was just made is shown once."""
    return revealed.once(request, _page(workspace, client_id, Faults(), secret=revealed.taken(request), after=after))


@post("/clients/{client_id:str}/callback", guards=_ADMINISTRATORS, sync_to_thread=True)
def register(workspace: NamedDependency[Workspace], client_id: FromPath[str], data: Sent[AddressForm]) -> Response[Any]:
    """Set the address; the first time, the page that follows shows its secret once."""
    faults, made = Faults(), None
    with faults.on("url"), db.current().transaction() as transaction:
        client = _live(transaction, workspace, client_id)
        _, made = endpoints.register(transaction, client.id, workspace.service_id, data.url.strip(), workspace.actor)
    if faults:
        return _page(workspace, client_id, faults, url=data.url)
    if made:
        return revealed.lead(_address(workspace, client_id), made.secret)
    return go(_address(workspace, client_id), "The address is saved.")


@post("/clients/{client_id:str}/callback/secret", guards=_ADMINISTRATORS, sync_to_thread=True)
def rotate(workspace: NamedDependency[Workspace], client_id: FromPath[str]) -> Response[Any]:
    """Make a new signing secret, and lead to the page that shows it once."""
    with db.current().transaction() as transaction:
        client = _live(transaction, workspace, client_id)
        made = endpoints.rotate_secret(transaction, client.id, workspace.actor)
    return revealed.lead(_address(workspace, client_id), made.secret)


@post("/clients/{client_id:str}/callback/enable", guards=_ADMINISTRATORS, sync_to_thread=True)
def enable(workspace: NamedDependency[Workspace], client_id: FromPath[str]) -> Response[Any]:
    """Switch the address on again."""
    with db.current().transaction() as transaction:
        endpoints.enable(transaction, _live(transaction, workspace, client_id).id, workspace.actor)
    return go(_address(workspace, client_id), "Callbacks are on again; what waits is posted now.")


@post("/clients/{client_id:str}/callback/disable", guards=_ADMINISTRATORS, sync_to_thread=True)
def disable(workspace: NamedDependency[Workspace], client_id: FromPath[str]) -> Response[Any]:
    """Switch the address off."""
    with db.current().transaction() as transaction:
        why = f"{workspace.viewer.email} switched it off."
        endpoints.disable(transaction, _live(transaction, workspace, client_id).id, why, workspace.actor)
    return go(_address(workspace, client_id), "Callbacks are switched off.")


@post("/clients/{client_id:str}/callback/remove", guards=_ADMINISTRATORS, sync_to_thread=True)
def remove(workspace: NamedDependency[Workspace], client_id: FromPath[str]) -> Response[Any]:
    """Forget the address."""
    with db.current().transaction() as transaction:
        client = clients.one_of_service(transaction, workspace.service_id, client_id)
        endpoints.remove(transaction, client.id, workspace.actor)
    return go(workspace.address(f"clients/{client_id}"), "The callback address is removed.")


@post(
    "/clients/{client_id:str}/callback/messages/{message_id:str}/redeliver",
    guards=_ADMINISTRATORS,
    sync_to_thread=True,
)
def redeliver(
    workspace: NamedDependency[Workspace], client_id: FromPath[str], message_id: FromPath[str]
) -> Response[Any]:
    """Post one message again."""
    faults = Faults()
    try:
        with db.current().transaction() as transaction:
            messages.redeliver(transaction, _live(transaction, workspace, client_id).id, message_id, workspace.actor)
    except Problem as problem:
        if problem.code != "callback_disabled":
            raise
        faults.add("messages", problem.detail)
        return _page(workspace, client_id, faults)
    return go(_address(workspace, client_id), "It is posted again now.")


def _live(transaction: Session, workspace: Workspace, client_id: str) -> ApiClient:
    client = clients.one_of_service(transaction, workspace.service_id, client_id)
    if client.revoked_at is not None:
        raise Problem("not_found", "This API client has been revoked.")
    return client


def _address(workspace: Workspace, client_id: str) -> str:
    return workspace.address(f"clients/{client_id}/callback")


def _page(  # noqa: PLR0913 - what stands on the page, each named at the call
    workspace: Workspace,
    client_id: str,
    faults: Faults,
    *,
    url: str | None = None,
    secret: str | None = None,
    after: int | None = None,
) -> Page:
    with db.current().read() as reading:
        client = clients.one_of_service(reading, workspace.service_id, client_id)
        record, posted = _posted(reading, client.id, after)
    rows = posted[:_PAGE]
    return page(
        "callbacks/show.html",
        workspace.viewer,
        current="clients",
        workspace=workspace,
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
    record = if_found(lambda: endpoints.read(reading, api_client_id))
    if record is None:
        return None, []
    return record, messages.page(reading, api_client_id, _PAGE + 1, inputs.bounded(after))


ROUTES = [show, register, rotate, enable, disable, remove, redeliver]
