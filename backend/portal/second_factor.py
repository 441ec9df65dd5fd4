"""Two-factor sign-in of one's own account: set up, its recovery codes made anew, turned off."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.response import Redirect
from sqlalchemy.orm import Session

from backend.accounts import attempts, audit, second_factor, users
from backend.accounts.second_factor import Setup
from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.db.models.accounts import User
from backend.lib.problems import Problem
from backend.portal import letters, security
from backend.portal.access import ACCOUNT, SECOND_FACTOR, actor
from backend.portal.forms import Faults, SecretForm, Sent
from backend.portal.pages import Page, go, page

WRONG = "This code is not right. Take the one that the authenticator shows now; if it stays wrong, look at its clock."


class OnForm(SecretForm):
    """The setup that the page showed, the present password, and a code that proves the authenticator."""

    setup: str = ""
    present: str = ""
    code: str = ""


class CodesForm(SecretForm):
    """The recovery codes that the page showed, and a code that allows them."""

    setup: str = ""
    code: str = ""


class OffForm(SecretForm):
    """A code that allows to turn it off."""

    code: str = ""


@get("/account/second-factor", sync_to_thread=True)
def show(viewer: NamedDependency[Viewer]) -> Response[Any]:
    """Show how it is set up or, once it is, what can be done with it."""
    with db.current().read() as reading:
        left = second_factor.codes_left(reading, viewer.user_id)
        has_password = reading.get_one(User, viewer.user_id).password_hash is not None
    if left is None and not has_password:
        return Redirect(ACCOUNT, status_code=303)
    if left is None:
        return _setup_page(viewer, second_factor.propose(), Faults())
    return _on_page(viewer, left, Faults())


@post("/account/second-factor/on", opt={"keeps_nothing": True}, sync_to_thread=True)
def turn_on(request: Request[Any, Any, Any], viewer: NamedDependency[Viewer], data: Sent[OnForm]) -> Response[Any]:
    """Turn it on after the present password and a code were given."""
    faults = Faults()
    take(request, viewer, faults)
    setup = _opened(viewer, data.setup, faults)
    if not faults and users.with_password(db.current(), viewer.email, data.present) is None:
        faults.add("present", "This is not your present password.")
    if not faults:
        with db.current().transaction() as transaction:
            was_on = second_factor.is_on(transaction, viewer.user_id)
            if not second_factor.turn_on(transaction, viewer.user_id, setup, data.code):
                faults.add("code", WRONG)
            elif not was_on:
                note(transaction, viewer, "on")
    if faults:
        return _setup_page(viewer, setup, faults)
    return go(ACCOUNT, "Two-factor sign-in is on: you are asked for a code from now on.")


@get("/account/second-factor/codes", sync_to_thread=True)
def show_codes(viewer: NamedDependency[Viewer]) -> Response[Any]:
    """Show recovery codes that may take the place of the present ones."""
    with db.current().read() as reading:
        if not second_factor.is_on(reading, viewer.user_id):
            return Redirect(SECOND_FACTOR, status_code=303)
    return _codes_page(viewer, second_factor.propose(), Faults())


@post("/account/second-factor/codes", opt={"keeps_nothing": True}, sync_to_thread=True)
def replace_codes(
    request: Request[Any, Any, Any],
    viewer: NamedDependency[Viewer],
    data: Sent[CodesForm],
) -> Response[Any]:
    """Let the codes that were shown take the place of the present ones."""
    faults = Faults()
    take(request, viewer, faults)
    setup = _opened(viewer, data.setup, faults)
    if not faults:
        with db.current().transaction() as transaction:
            if second_factor.accepts(transaction, viewer.user_id, data.code):
                second_factor.replace_codes(transaction, viewer.user_id, setup.recovery_codes)
                note(transaction, viewer, "codes")
            else:
                faults.add("code", WRONG)
    if faults:
        return _codes_page(viewer, setup, faults)
    return go(SECOND_FACTOR, "The new recovery codes work; the old ones do not any more.")


@post("/account/second-factor/off", opt={"keeps_nothing": True}, sync_to_thread=True)
def turn_off(request: Request[Any, Any, Any], viewer: NamedDependency[Viewer], data: Sent[OffForm]) -> Response[Any]:
    """Turn it off after a code was given."""
    faults = Faults()
    take(request, viewer, faults)
    with db.current().transaction() as transaction:
        left = second_factor.codes_left(transaction, viewer.user_id)
        if left is not None and not faults and second_factor.accepts(transaction, viewer.user_id, data.code):
            second_factor.turn_off(transaction, viewer.user_id)
            note(transaction, viewer, "off")
        elif left is not None:
            faults.add("code", WRONG)
    if faults:
        return _on_page(viewer, left or 0, faults)
    return go(ACCOUNT, "Two-factor sign-in is off: your password alone lets you in.")


def take(request: Request[Any, Any, Any], viewer: Viewer, faults: Faults) -> None:
    """Count an attempt to guess a code or the password."""
    here = f"{viewer.email} {security.network_address(request)}"
    with faults.on("code"):
        attempts.take(db.current(), (attempts.SIGN_IN_HERE, here), (attempts.CODE_ACCOUNT, viewer.email))


def _opened(viewer: Viewer, sealed: str, faults: Faults) -> Setup:
    """Open what the page showed; where it does not open, say so and propose anew."""
    try:
        return second_factor.open_setup(viewer.user_id, sealed)
    except Problem as problem:
        faults.add("code", problem.detail)
        return second_factor.propose()


def note(transaction: Session, viewer: Viewer, change: str) -> None:
    """Write a change down, and tell the account's owner: it may have been somebody else at their browser."""
    audit.record(transaction, actor(viewer), f"second_factor.{change}", viewer.email, service_id=None)
    letters.tell_of_second_factor(transaction, transaction.get_one(User, viewer.user_id), change)


def _setup_page(viewer: Viewer, setup: Setup, faults: Faults) -> Page:
    return _page("setup", viewer, faults, picture=setup.picture(viewer.email), **_shown(viewer, setup))


def _codes_page(viewer: Viewer, setup: Setup, faults: Faults) -> Page:
    return _page("codes", viewer, faults, **_shown(viewer, setup))


def _on_page(viewer: Viewer, left: int, faults: Faults) -> Page:
    return _page("on", viewer, faults, left=left)


def _shown(viewer: Viewer, setup: Setup) -> dict[str, Any]:
    sealed = second_factor.seal_setup(viewer.user_id, setup)
    return {"setup": setup, "sealed": sealed, "codes": [second_factor.written(one) for one in setup.recovery_codes]}


def _page(name: str, viewer: Viewer, faults: Faults, **context: Any) -> Page:
    status = faults.status
    template = f"account/second_factor_{name}.html"
    return page(template, viewer, current="account", status_code=status, faults=faults, **context)


ROUTES = [show, turn_on, show_codes, replace_codes, turn_off]
