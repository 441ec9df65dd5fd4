"""The pages behind links to files, for whom a message went to: they need no account, no cookie and no JavaScript.

A link is looked at by mail filters before any person does: GET and HEAD tell nothing of a file whose link asks for an
address, and never hand one over.
"""

from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath

from backend.accounts import attempts
from backend.db import database as db
from backend.delivery.content import downloads
from backend.delivery.content.downloads import Offer
from backend.lib import clock, secrecy, settings
from backend.lib.problems import Problem
from backend.portal import security
from backend.portal.forms import Sent
from backend.portal.pages import page

# For so long may a page lie open before its button is pressed.
_OFFERED_SECONDS = 3_600
_NOT_SENT_THERE = (
    "The message with this link did not go to that address. Check it: it is the one at which you received the message."
)
_LEFT_OPEN = "The page was open for more than an hour. Name your address again."


class AddressForm(msgspec.Struct):
    """At which address the message was received."""

    email: str = ""


class DownloadForm(msgspec.Struct):
    """What lets a file be fetched: the address that was confirmed, until when that holds, and the proof of both."""

    email: str = ""
    until: str = ""
    proof: str = ""


@get("/{token:str}", sync_to_thread=True)
def show(token: FromPath[str]) -> Response[Any]:
    """Ask for an address, or offer the file if its link asks for none."""
    offer = _find(token)
    if offer is None or offer.over:
        return _nothing(offer)
    return _ask(offer) if offer.confirm_address else _offer(offer, "")


@post("/{token:str}", status_code=200, sync_to_thread=True)
def confirm(request: Request[Any, Any, Any], token: FromPath[str], data: Sent[AddressForm]) -> Response[Any]:
    """Offer the file to whom the message went; whoever guesses has few tries."""
    offer = _find(token)
    if offer is None or offer.over:
        return _nothing(offer)
    if not offer.confirm_address:
        return _offer(offer, "")
    email = data.email.strip()
    if not email:
        return _ask(offer, fault="Name the address at which you received the message.")
    here = security.network_address(request)
    own, *wider = (
        (attempts.FILE_HERE, f"{token} {here}"),
        (attempts.FILE_LINK, token),
        (attempts.FILE_ADDRESS, here),
    )
    try:
        with db.current().read() as reading:
            attempts.check(reading, own, *wider)
            known = downloads.went_to(reading, token, email)
        if not known:
            attempts.take(db.current(), own, *wider)
    except Problem as problem:
        return _ask(offer, email, problem.detail, status=429)
    return _offer(offer, email) if known else _ask(offer, email, _NOT_SENT_THERE)


@post("/{token:str}/download", status_code=200, sync_to_thread=True)
def download(request: Request[Any, Any, Any], token: FromPath[str], data: Sent[DownloadForm]) -> Response[Any]:
    """Hand the file over, to be saved and not to be shown here."""
    offer = _find(token)
    if offer is None or offer.over:
        return _nothing(offer)
    if offer.confirm_address and not _holds(token, data):
        return _ask(offer, data.email, _LEFT_OPEN)
    attempts.take(db.current(), (attempts.FILE_FETCH, security.network_address(request)), durable=False)
    found = downloads.fetch(token, data.email if offer.confirm_address else None)
    if found is None:
        return _nothing(_find(token))
    headers = {
        # RFC 6266, section 4.3.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(found.name, safe='')}",
        "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
        "Cache-Control": "no-store",
    }
    return Response(found.content, media_type=found.type, headers=headers)


def _find(token: str) -> Offer | None:
    with db.current().read() as reading:
        return downloads.find(reading, token)


def _ask(offer: Offer, email: str = "", fault: str = "", status: int = 422) -> Response[Any]:
    status_code = status if fault else 200
    return page("files/ask.html", None, status_code=status_code, offer=offer, email=email, fault=fault)


def _offer(offer: Offer, email: str) -> Response[Any]:
    until = str(int(clock.timestamp()) + _OFFERED_SECONDS)
    proof = _proof(offer.token, email, until)
    return page("files/offer.html", None, offer=offer, email=email, until=until, proof=proof)


def _nothing(offer: Offer | None) -> Response[Any]:
    """Say that there is nothing, or nothing any more, and whom to ask."""
    if offer is None:
        return page("files/unknown.html", None, status_code=404)
    return page("files/over.html", None, status_code=410, offer=offer)


def _proof(token: str, email: str, until: str) -> str:
    return secrecy.digest(settings.current().secret_key, "file-download", f"{token} {until} {email}")


def _holds(token: str, data: DownloadForm) -> bool:
    in_time = data.until.isascii() and data.until.isdecimal() and len(data.until) <= 12
    if not in_time or int(data.until) < clock.timestamp():
        return False
    return secrecy.same(data.proof, _proof(token, data.email, data.until))


async def _check_form(request: Request[Any, Any, Any]) -> None:
    """Refuse a form with text that cannot be kept."""
    if request.method == "POST":
        security.check_fields(list((await request.form()).multi_items()))


def _hardened(response: Response[Any]) -> Response[Any]:
    response.headers.setdefault("X-Robots-Tag", "noindex, nofollow, noarchive")
    return security.harden(response)


ROUTES = Router(
    "/files",
    route_handlers=[show, confirm, download],
    # There is no session that a page of another site could make use of, so the forms carry no token of ours.
    before_request=_check_form,
    after_request=_hardened,
    include_in_schema=False,
)
