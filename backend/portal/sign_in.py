"""Signing in with a password, and signing out."""

from typing import Annotated, Any, NamedTuple

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.params import QueryParameter
from litestar.response import Redirect
from sqlalchemy.orm import Session

from backend.accounts import attempts, audit, oidc, passkeys, second_factor, sessions, users
from backend.accounts.passkeys import Asked
from backend.db import database as db
from backend.lib import aside
from backend.lib.problems import Problem
from backend.portal import access, browsers, kept, letters, security
from backend.portal.forms import Faults, Sent
from backend.portal.kept import Kept, Sealed
from backend.portal.pages import Page, go, page

CODE = "/portal/sign-in/code"
_WRONG = "wrong"
_NOTHING = Sealed()


class SignInForm(msgspec.Struct):
    """What the sign-in form sends: besides, where to come back to, and a form that came after the session's end."""

    email: str = ""
    password: str = ""
    next: str = ""
    ended: str = ""
    kept: str = ""

    def __repr__(self) -> str:
        return f"SignInForm(next={self.next!r})"


@get("/sign-in", sync_to_thread=True)
def show_form(
    request: Request[Any, Any, Any],
    wanted: Annotated[str | None, QueryParameter(name="next")] = None,
    ended: Annotated[str, QueryParameter(name="ended")] = "",
) -> Response[Any]:
    """Show the form, or pass on whoever is signed in already."""
    address = security.safe_address(wanted)
    if access.anyone(request):
        return Redirect(address, status_code=303)
    return form(address, ended=bool(ended))


@post("/sign-in", sync_to_thread=True)
def sign_in(request: Request[Any, Any, Any], data: Sent[SignInForm]) -> Response[Any]:
    """Begin a session with a new cookie value, and go where the form was asked to lead, inside the portal."""
    address = security.safe_address(data.next)
    email, ended, brought = data.email.strip(), bool(data.ended), Sealed(data.kept)
    database = db.current()
    try:
        attempts.take_at_sign_in(database, email, security.network_address(request))
    except Problem as problem:
        return form(address, email=email, refused=problem.detail, ended=ended, kept=brought, status=429)
    user = users.with_password(database, email, data.password)
    if user is None:
        if attempts.note_failure(database, email):
            aside.run(_warn, email)
        return form(address, email=email, refused=_WRONG, ended=ended, kept=brought, status=401)
    with database.transaction() as transaction:
        return enter(transaction, request, user.id, Onward(address, kept=data.kept))


def _warn(email: str) -> None:
    """Tell the owner of an account, if there is one, that somebody guesses."""
    with db.current().transaction() as transaction:
        user = users.by_email(transaction, email)
        if user is not None and user.active:
            letters.warn(transaction, user)
            audit.record(transaction, audit.SYSTEM, "user.warned", user.email, service_id=None)


@post("/sign-out", sync_to_thread=True)
def sign_out(request: Request[Any, Any, Any]) -> Response[Any]:
    """End the session, here and in the database."""
    value = request.cookies.get(security.cookie_name())
    if value:
        with db.current().transaction() as transaction:
            sessions.end(transaction, value)
    return Redirect(access.SIGN_IN, status_code=303, cookies=[security.session_cookie("")])


class Onward(NamedTuple):
    """Where somebody goes who signs in, what is said there, and a form that came after their session, sealed."""

    address: str
    done: str | None = None
    kept: str = ""


def enter(transaction: Session, request: Request[Any, Any, Any], user_id: int, onward: Onward) -> Response[Any]:
    """Let somebody in whose password was right, or ask for a code first."""
    if not second_factor.is_on(transaction, user_id):
        return arrive(transaction, request, user_id, onward)
    cookie = pending_cookie(second_factor.seal_pending(user_id, onward.address, onward.done))
    if not onward.kept:
        return Redirect(CODE, status_code=303, cookies=[cookie])
    answer = code_form(Faults(), onward.kept, passkey=passkeys.ask(transaction, user_id))
    answer.cookies.append(cookie)
    return answer


def arrive(transaction: Session, request: Request[Any, Any, Any], user_id: int, onward: Onward) -> Response[Any]:
    """Begin the session of somebody who has proved all that is asked for, and lead them on."""
    cookie, unsent = begin_session(transaction, request, user_id), kept.opened(request, onward.kept, user_id)
    if unsent is None:
        return go(onward.address, onward.done, cookies=[cookie])
    answer = show_kept(unsent)
    answer.cookies.append(cookie)
    return answer


def code_form(faults: Faults, brought: str = "", status: int | None = None, *, passkey: Asked | None) -> Page:
    """Ask for the code of a sign-in whose password was right, or for a passkey."""
    code = status or faults.status
    return page("sign_in/code.html", None, status_code=code, faults=faults, brought=brought, passkey=passkey)


def begin_session(
    transaction: Session, request: Request[Any, Any, Any], user_id: int, *, by_provider: bool = False
) -> Cookie:
    """Begin a session in place of the browser's former one, and return its cookie."""
    value = sessions.begin(
        transaction,
        user_id,
        replacing=request.cookies.get(security.cookie_name()),
        browser=browsers.name(request.headers.get("user-agent", "")),
        by_provider=by_provider,
    )
    return security.session_cookie(value)


def pending_name() -> str:
    """Return the name of the cookie of a sign-in that waits for its code."""
    return "__Host-carillon-pending" if security.in_production() else "carillon-pending"


def pending_cookie(value: str) -> Cookie:
    """Return the cookie of a sign-in that waits for its code; an empty value takes it away."""
    return Cookie(
        key=pending_name(),
        value=value,
        max_age=second_factor.SIGN_IN_SECONDS if value else 0,
        path="/",
        secure=security.in_production(),
        httponly=True,
        samesite="lax",
    )


def show_kept(unsent: Kept) -> Page:
    """Show a form that came too late with what was typed into it, to be sent now by who has signed in again."""
    shown = [(name, value) for name, value in unsent.fields if value]
    return page("sign_in/kept.html", None, unsent=unsent, shown=shown)


def form(  # noqa: PLR0913 - what stands on the page, each named at the call
    address: str,
    *,
    email: str = "",
    refused: str = "",
    ended: bool = False,
    kept: Sealed = _NOTHING,
    status: int = 200,
) -> Page:
    """Show the form; ``refused`` is ``wrong`` for a password that does not match, or the sentence to say.

    ``ended`` says that a session is over; what was typed then is ``kept``.
    """
    return page(
        "sign_in/index.html",
        None,
        status_code=status,
        address=address,
        email=email,
        refused=refused,
        ended=ended,
        idle_hours=sessions.IDLE.total_seconds() // 3600,
        kept=kept,
        wanted=address != security.HOME,
        provider=oidc.provider_name(),
    )


ROUTES = [show_form, sign_in, sign_out]
