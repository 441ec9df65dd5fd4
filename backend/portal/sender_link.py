"""Following the link that asks whether a service may use an address: whoever reads its mail says so."""

from typing import Annotated, Any

from litestar import Request, get, post
from litestar.params import QueryParameter

from backend.accounts import attempts, audit, senders
from backend.db import database as db
from backend.portal import access, letters, security
from backend.portal.forms import SecretForm, Sent
from backend.portal.pages import Page, page


class KeyForm(SecretForm):
    """The secret of the link."""

    key: str = ""


@get(letters.SENDER.removeprefix("/portal"), sync_to_thread=True)
def show(request: Request[Any, Any, Any], key: Annotated[str, QueryParameter(name="key")] = "") -> Page:
    """Say what is asked; looking permits nothing, as the programs do that look at links in mails."""
    attempts.take(db.current(), (attempts.LINK_ADDRESS, security.network_address(request)))
    with db.current().read() as reading:
        offered = senders.find(reading, key)
    return page("senders/asked.html", access.anyone(request), key=key, offered=offered)


@post(letters.SENDER.removeprefix("/portal"), status_code=200, sync_to_thread=True)
def permit(request: Request[Any, Any, Any], data: Sent[KeyForm]) -> Page:
    """Verify the address, once."""
    attempts.take(db.current(), (attempts.LINK_ADDRESS, security.network_address(request)))
    viewer = access.anyone(request)
    with db.current().transaction() as transaction:
        offered = senders.verify(transaction, data.key, viewer.email if viewer else None)
        actor = audit.Actor("person", viewer.email if viewer else offered.address)
        audit.record(
            transaction,
            actor,
            "sender.verified",
            offered.address,
            service_id=offered.service_id,
            detail={"kind": offered.kind.value},
        )
    return page("senders/permitted.html", viewer, offered=offered)


ROUTES = [show, permit]
