"""The second step of signing in with a password: a code of the authenticator, or a recovery code."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.response import Redirect
from sqlalchemy.orm import Session

from backend.accounts import attempts, audit, passkeys, second_factor, users
from backend.accounts.second_factor import Pending
from backend.db import database as db
from backend.db.models.accounts import User
from backend.lib import aside
from backend.lib.problems import Problem
from backend.portal import access, letters, security
from backend.portal.forms import Faults, SecretForm, Sent
from backend.portal.pages import Page
from backend.portal.sign_in import Onward, arrive, code_form, pending_cookie, pending_name

_WRONG = "This code is not right. A code works once, for half a minute; take the one that is shown now."
_WRONG_PASSKEY = "This passkey could not be used. Try it again, or give a code."
_FEW = 3


class CodeForm(SecretForm):
    """The code that was typed, or a passkey's answer to its challenge; and a form that came after the session's end."""

    code: str = ""
    challenge: str = ""
    answer: str = ""
    kept: str = ""


@get("/sign-in/code", sync_to_thread=True)
def show_form(request: Request[Any, Any, Any]) -> Response[Any]:
    """Ask for the code of a sign-in whose password was right."""
    waiting = _pending(request)
    return _start_again() if waiting is None else _form(waiting[1], Faults())


@post("/sign-in/code", opt={"keeps_nothing": True}, sync_to_thread=True)
def sign_in(request: Request[Any, Any, Any], data: Sent[CodeForm]) -> Response[Any]:
    """Begin a session if the code is right; wrong ones are slowed down, and the account's owner hears of them."""
    waiting = _pending(request)
    if waiting is None:
        return _start_again()
    pending, user = waiting
    faults, database = Faults(), db.current()
    here = f"{user.email} {security.network_address(request)}"
    try:
        attempts.take(database, (attempts.CODE_HERE, here), (attempts.CODE_ACCOUNT, user.email))
    except Problem as problem:
        faults.add("code", problem.detail)
        return _form(user, faults, data.kept, 429)
    with database.transaction() as transaction:
        if _proved(transaction, user, data):
            done = pending.done or _told(second_factor.codes_left(transaction, user.id) or 0)
            answer = arrive(transaction, request, user.id, Onward(pending.address, done, data.kept))
            answer.cookies.append(pending_cookie(""))
            return answer
    if attempts.note_wrong_code(database, user.email):
        aside.run(_warn, user.email)
    faults.add("code", _WRONG_PASSKEY if data.answer else _WRONG)
    return _form(user, faults, data.kept)


def _proved(transaction: Session, user: User, data: CodeForm) -> bool:
    if data.answer:
        return passkeys.accepts(transaction, user.id, data.challenge, data.answer)
    return second_factor.accepts(transaction, user.id, data.code)


def _form(user: User, faults: Faults, brought: str = "", status: int | None = None) -> Page:
    with db.current().read() as reading:
        return code_form(faults, brought, status, passkey=passkeys.ask(reading, user.id))


def _warn(email: str) -> None:
    with db.current().transaction() as transaction:
        user = users.by_email(transaction, email)
        if user is not None:
            letters.warn_of_codes(transaction, user)
            audit.record(transaction, audit.SYSTEM, "user.warned", user.email, service_id=None)


def _told(left: int) -> str | None:
    """Say that recovery codes run out, while some are left to get in with."""
    if left > _FEW:
        return None
    return f"You have {left} recovery code{'' if left == 1 else 's'} left. Make new ones on the page of your account."


def _pending(request: Request[Any, Any, Any]) -> tuple[Pending, User] | None:
    sealed = request.cookies.get(pending_name())
    if not sealed:
        return None
    with db.current().read() as reading:
        return second_factor.open_pending(reading, sealed)


def _start_again() -> Response[Any]:
    return Redirect(access.SIGN_IN, status_code=303, cookies=[pending_cookie("")])


ROUTES = [show_form, sign_in]
