"""The page behind the link by which a message is acknowledged: it needs no account, no cookie and no JavaScript.

Such links are followed by mail filters and by the previews of chats before any person does: GET and HEAD show the page
and change nothing. Some post to what they find, as mail programs do to unsubscribe with one click (RFC 8058): only the
form of the page acknowledges, which sends along what stands in it.
"""

from typing import Any

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from backend.accounts import attempts, audit
from backend.db import database as db
from backend.lib.problems import Problem
from backend.obligations import goals, links
from backend.obligations.goals import Acknowledgement
from backend.obligations.links import Offer
from backend.portal import arriving, security
from backend.portal.forms import Sent
from backend.portal.pages import page

_LONGEST_NAME = 100
_NOT_THE_FORM = "Nothing has been acknowledged yet: press the button on this page."


class NameForm(msgspec.Struct):
    """Who acknowledges, where they want to say so; ``proof`` is the form's own."""

    name: str = ""
    proof: str = ""


@get("/{token:str}", sync_to_thread=True)
def show(token: FromPath[str]) -> Response[Any]:
    """Offer to acknowledge a message, or tell that it has been."""
    return _page(token, _find(token))


@post("/{token:str}", status_code=200, sync_to_thread=True)
def acknowledge(request: Request[Any, Any, Any], token: FromPath[str], data: Sent[NameForm]) -> Response[Any]:
    """Acknowledge a message; once is enough, and later is too late for nothing."""
    offer = _find(token)
    if offer is None:
        return _page(token, None)
    if not links.is_of_form(token, data.proof):
        return _ask(token, offer, 400, _NOT_THE_FORM)
    try:
        here = security.network_address(request)
        attempts.take(db.current(), (attempts.ACKNOWLEDGE_ADDRESS, here), durable=False)
    except Problem as problem:
        return _ask(token, offer, 429, problem.detail)
    name = " ".join(data.name.split())[:_LONGEST_NAME]
    by = f"{name} ({offer.address})" if name else offer.address
    with db.current().transaction() as transaction:
        if goals.meet(transaction, offer.obligation_id, Acknowledgement(by, "LINK")):
            subject, detail = str(offer.notification_uid), {"by": by, "through": "LINK"}
            audit.record(
                transaction,
                audit.SYSTEM,
                "obligation.acknowledged",
                subject,
                service_id=offer.service_id,
                detail=detail,
            )
    return _page(token, _find(token))


def _find(token: str) -> Offer | None:
    with db.current().read() as reading:
        return links.find(reading, token)


def _page(token: str, offer: Offer | None) -> Response[Any]:
    if offer is None:
        return page("acknowledge/unknown.html", None, status_code=404)
    if offer.state in {"MET", "CLOSED"}:
        return page("acknowledge/done.html", None, offer=offer, token=token)
    return _ask(token, offer, 200, "")


def _ask(token: str, offer: Offer, status: int, fault: str) -> Response[Any]:
    proof = links.form_proof(token)
    return page("acknowledge/ask.html", None, status_code=status, offer=offer, token=token, proof=proof, fault=fault)


def _hardened(response: Response[Any]) -> Response[Any]:
    response.headers.setdefault("X-Robots-Tag", "noindex, nofollow, noarchive")
    return security.harden(response)


ROUTES = Router(
    "/acknowledge",
    route_handlers=[show, acknowledge],
    # There is no session that a page of another site could make use of, so the forms carry no token of ours.
    before_request=arriving.check_form,
    after_request=_hardened,
    include_in_schema=False,
)
