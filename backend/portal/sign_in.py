"""Signing in and out."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.enums import RequestEncodingType
from litestar.params import Body, QueryParameter
from litestar.response import Redirect, Template

from backend.accounts import sessions, users
from backend.db import session
from backend.portal import access, security
from backend.portal.pages import page


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
    user = users.sign_in(session.current(), email, data.password)
    if user is None:
        return _form(address, email=email, refused=True)
    with session.current().write() as transaction:
        value = sessions.begin(transaction, user.id, replacing=request.cookies.get(security.cookie_name()))
    return Redirect(address, status_code=303, cookies=[security.session_cookie(value)])


@post("/sign-out", sync_to_thread=True)
def sign_out(request: Request[Any, Any, Any]) -> Response[Any]:
    """End the session, here and in the database."""
    value = request.cookies.get(security.cookie_name())
    if value:
        with session.current().write() as transaction:
            sessions.end(transaction, value)
    return Redirect(access.SIGN_IN, status_code=303, cookies=[security.session_cookie("")])


def _form(address: str, *, email: str = "", refused: bool = False) -> Template:
    return page(
        "sign_in/index.html",
        None,
        status_code=401 if refused else 200,
        address=address,
        email=email,
        refused=refused,
    )


ROUTES = [show_form, sign_in, sign_out]
