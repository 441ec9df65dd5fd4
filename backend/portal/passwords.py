"""The way back for those who forgot their password: a mailed link, and a new password."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.params import QueryParameter

from backend.accounts import attempts, audit, password_resets, passwords, users
from backend.db import database as db
from backend.lib import aside
from backend.lib.problems import Problem
from backend.portal import letters, security
from backend.portal.forms import Faults, SecretForm, Sent
from backend.portal.pages import Page, page
from backend.portal.sign_in import Onward, enter


class AddressForm(msgspec.Struct):
    """Whose password was forgotten."""

    email: str = ""


class PasswordForm(SecretForm):
    """A new password, with the secret of the link that allows it."""

    key: str = ""
    password: str = ""


@get("/password", sync_to_thread=False)
def show_request() -> Page:
    """Ask whose password was forgotten."""
    return _request_page("", Faults())


@post("/password", sync_to_thread=True)
def ask(request: Request[Any, Any, Any], data: Sent[AddressForm]) -> Page:
    """Mail a link if there is such a person; the answer is the same, and as quick, if there is none."""
    faults, email = Faults(), data.email.strip()
    with faults.on("email"):
        email = users.normalised(email)
    if faults:
        return _request_page(data.email, faults)
    try:
        address = security.network_address(request)
        buckets = (attempts.RESET_HERE, f"{email} {address}"), (attempts.RESET_ADDRESS, address)
        attempts.take(db.current(), *buckets)
    except Problem as problem:
        faults.add("email", problem.detail)
        return _request_page(email, faults, status=429)
    aside.run(_send, email)
    return page("sign_in/password_sent.html", None, email=email)


def _send(email: str) -> None:
    with db.current().transaction() as transaction:
        wanted = attempts.passes(transaction, attempts.RESET_ACCOUNT, email)
        user = users.by_email(transaction, email)
        if wanted and user is not None and user.active:
            letters.reset_password(transaction, user)


@get("/password/new", sync_to_thread=True)
def show_choice(request: Request[Any, Any, Any], key: Annotated[str, QueryParameter(name="key")] = "") -> Page:
    """Ask for the new password; looking at the page does not use the link up, as mail programs do by themselves."""
    attempts.take(db.current(), (attempts.LINK_ADDRESS, security.network_address(request)))
    with db.current().read() as reading:
        email = password_resets.find(reading, key).email
    return _choice_page(key, email, Faults())


@post("/password/new", sync_to_thread=True)
def choose(request: Request[Any, Any, Any], data: Sent[PasswordForm]) -> Response[Any]:
    """Set the password, end every session of the user's, and sign them in here."""
    attempts.take(db.current(), (attempts.LINK_ADDRESS, security.network_address(request)))
    faults = Faults()
    with faults.on("password"):
        passwords.check(data.password)
    if faults:
        with db.current().read() as reading:
            email = password_resets.find(reading, data.key).email
        return _choice_page(data.key, email, faults)
    with db.current().transaction() as transaction:
        user = password_resets.use(transaction, data.key, data.password)
        audit.record(transaction, audit.Actor("person", user.email), "password.reset", user.email, service_id=None)
        onward = Onward(security.HOME, "Your new password works from now on.")
        return enter(transaction, request, user.id, onward)


def _request_page(email: str, faults: Faults, status: int | None = None) -> Page:
    status_code = status or faults.status
    return page("sign_in/password_forgotten.html", None, status_code=status_code, email=email, faults=faults)


def _choice_page(key: str, email: str, faults: Faults) -> Page:
    return page(
        "sign_in/password_new.html",
        None,
        status_code=faults.status,
        key=key,
        email=email,
        faults=faults,
        least=passwords.MIN_LENGTH,
    )


ROUTES = [show_request, ask, show_choice, choose]
