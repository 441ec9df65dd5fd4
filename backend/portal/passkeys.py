"""Passkeys of one's own account: listed, added with a code that allows it, taken away."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from backend.accounts import passkeys, second_factor
from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.portal import second_factor as pages
from backend.portal.access import SECOND_FACTOR
from backend.portal.forms import Faults, SecretForm, Sent
from backend.portal.pages import go, page

PASSKEYS = f"{SECOND_FACTOR}/passkeys"


class NewForm(SecretForm):
    """A name, a code that allows it, and the browser's answer to what it was asked."""

    name: str = ""
    code: str = ""
    challenge: str = ""
    answer: str = ""


@get("/account/second-factor/passkeys", sync_to_thread=True)
def show(viewer: NamedDependency[Viewer]) -> Response[Any]:
    """Show the passkeys, and ask for one more."""
    return _page(viewer, Faults(), "")


@post("/account/second-factor/passkeys", opt={"keeps_nothing": True}, sync_to_thread=True)
def add(request: Request[Any, Any, Any], viewer: NamedDependency[Viewer], data: Sent[NewForm]) -> Response[Any]:
    """Keep a passkey that the browser made."""
    faults = Faults()
    pages.take(request, viewer, faults)
    if not data.answer:
        faults.add("name", "Your browser has made no passkey. That takes JavaScript; codes work without.")
    if not faults:
        with faults.on("name"), db.current().transaction() as transaction:
            if second_factor.accepts(transaction, viewer.user_id, data.code):
                made = passkeys.add(transaction, viewer.user_id, data.name, data.challenge, data.answer)
                pages.note(transaction, viewer, "passkey")
                return go(PASSKEYS, f"{made.name} is here. You can sign in with it in place of a code.")
            faults.add("code", pages.WRONG)
    return _page(viewer, faults, data.name)


@post("/account/second-factor/passkeys/{passkey_id:int}/remove", sync_to_thread=True)
def remove(viewer: NamedDependency[Viewer], passkey_id: FromPath[int]) -> Response[Any]:
    """Take a passkey away; one that is gone already stays gone."""
    with db.current().transaction() as transaction:
        name = passkeys.remove(transaction, viewer.user_id, passkey_id)
        if name is None:
            raise NotFoundException
        pages.note(transaction, viewer, "passkey-removed")
    return go(PASSKEYS, f"{name} lets nobody in any more.")


def _page(viewer: Viewer, faults: Faults, name: str) -> Response[Any]:
    at = passkeys.relying_party()
    with db.current().read() as reading:
        if not second_factor.is_on(reading, viewer.user_id):
            return Redirect(SECOND_FACTOR, status_code=303)
        known = passkeys.of_user(reading, viewer.user_id)
        asked = passkeys.propose(reading, viewer.user_id, viewer.email, at) if at else None
    return page(
        "account/passkeys.html",
        viewer,
        current="account",
        status_code=faults.status,
        faults=faults,
        known=known,
        asked=asked,
        name=name,
        longest=passkeys.LONGEST_NAME,
    )


ROUTES = [show, add, remove]
