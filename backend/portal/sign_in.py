"""Signing in with a password, and signing out."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType
from litestar.params import Body, QueryParameter
from litestar.response import Redirect
from sqlalchemy.orm import Session

from backend.accounts import attempts, audit, oidc, sessions, users
from backend.db import session
from backend.lib import aside
from backend.lib.problems import Problem
from backend.portal import access, letters, security
from backend.portal.pages import Page, page

_WRONG = "wrong"


class SignInForm(msgspec.Struct):
    """What the sign-in form sends; ``next`` is the address to come back to."""

    email: str = ""
    password: str = ""
    next: str = ""

    def __repr__(self) -> str:
        return f"SignInForm(next={self.next!r})"


@get("/sign-in", sync_to_thread=True)
def show_form(
    request: Request[Any, Any, Any], wanted: Annotated[str | None, QueryParameter(name="next")] = None
) -> Response[Any]:
    """Show the form, or pass on whoever is signed in already."""
    address = security.safe_address(wanted)
    if access.anyone(request):
        return Redirect(address, status_code=303)
    return _form(address)


@post("/sign-in", sync_to_thread=True)
def sign_in(
    request: Request[Any, Any, Any],
    data: Annotated[SignInForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Begin a session with a new cookie value, and go where the form was asked to lead, inside the portal."""
    address = security.safe_address(data.next)
    email = data.email.strip()
    database = session.current()
    try:
        attempts.take_at_sign_in(database, email, security.network_address(request))
    except Problem as problem:
        return _form(address, email=email, refused=problem.detail, status=429)
    user = users.with_password(database, email, data.password)
    if user is None:
        if attempts.note_failure(database, email):
            aside.run(_warn, email)
        return _form(address, email=email, refused=_WRONG, status=401)
    with database.write() as transaction:
        cookie = begin_session(transaction, request, user.id)
    return Redirect(address, status_code=303, cookies=[cookie])


def _warn(email: str) -> None:
    """Tell the owner of an account, if there is one, that somebody guesses."""
    with session.current().write() as transaction:
        user = users.by_email(transaction, email)
        if user is not None and user.active:
            letters.warn(transaction, user)
            audit.record(transaction, audit.SYSTEM, "user.warned", user.email, service_id=None)


@post("/sign-out", sync_to_thread=True)
def sign_out(request: Request[Any, Any, Any]) -> Response[Any]:
    """End the session, here and in the database."""
    value = request.cookies.get(security.cookie_name())
    if value:
        with session.current().write() as transaction:
            sessions.end(transaction, value)
    return Redirect(access.SIGN_IN, status_code=303, cookies=[security.session_cookie("")])


def begin_session(transaction: Session, request: Request[Any, Any, Any], user_id: int) -> Cookie:
    """Begin a session in place of the browser's former one, and return its cookie."""
    value = sessions.begin(transaction, user_id, replacing=request.cookies.get(security.cookie_name()))
    return security.session_cookie(value)


def _form(address: str, *, email: str = "", refused: str = "", status: int = 200) -> Page:
    """Show the form; ``refused`` is ``wrong`` for a password that does not match, or the sentence to say."""
    return page(
        "sign_in/index.html",
        None,
        status_code=status,
        address=address,
        email=email,
        refused=refused,
        provider=oidc.provider_name(),
    )


ROUTES = [show_form, sign_in, sign_out]
