"""One's own account: the password, the identities that one signs in with, and the browsers with a session."""

from typing import Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from backend.accounts import attempts, audit, identities, oidc, passwords, second_factor, sessions, users
from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.db.models.accounts import User
from backend.lib.problems import Problem
from backend.portal import security
from backend.portal.access import ACCOUNT, actor
from backend.portal.forms import Faults, SecretForm, Sent
from backend.portal.pages import Page, go, page
from backend.portal.sign_in import begin_session


class ChangeForm(SecretForm):
    """The present password, and the one that takes its place."""

    present: str = ""
    password: str = ""


@get("/account", sync_to_thread=True)
def show(request: Request[Any, Any, Any], viewer: NamedDependency[Viewer]) -> Page:
    """Show the account."""
    return _page(request, viewer, Faults())


@post("/account/password", opt={"keeps_nothing": True}, sync_to_thread=True)
def change_password(
    request: Request[Any, Any, Any],
    viewer: NamedDependency[Viewer],
    data: Sent[ChangeForm],
) -> Response[Any]:
    """Change the password after the present one was given; every other session of the person's ends."""
    faults, database = Faults(), db.current()
    try:
        attempts.take(database, (attempts.SIGN_IN_HERE, f"{viewer.email} signed in"))
    except Problem as problem:
        faults.add("present", problem.detail)
    if not faults and users.with_password(database, viewer.email, data.present) is None:
        faults.add("present", "This is not your present password.")
    with faults.on("password"):
        passwords.check(data.password)
    if faults:
        return _page(request, viewer, faults)
    with database.transaction() as transaction:
        users.set_password(transaction.get_one(User, viewer.user_id), data.password)
        audit.record(transaction, actor(viewer), "password.changed", viewer.email, service_id=None)
        cookie = begin_session(transaction, request, viewer.user_id)
    return go(ACCOUNT, "Your password is changed; other browsers are signed out.", cookies=[cookie])


@post("/account/sessions/{session_id:int}/end", sync_to_thread=True)
def end_session(viewer: NamedDependency[Viewer], session_id: FromPath[int]) -> Response[Any]:
    """Sign another browser out; one that is over already stays over."""
    with db.current().transaction() as transaction:
        browser = sessions.end_of_user(transaction, viewer.user_id, session_id)
        if browser is not None:
            audit.record(transaction, actor(viewer), "session.ended", viewer.email, service_id=None)
    return go(ACCOUNT, f"{browser or 'That browser'} is signed out.")


@post("/account/sessions/end-others", sync_to_thread=True)
def end_other_sessions(request: Request[Any, Any, Any], viewer: NamedDependency[Viewer]) -> Response[Any]:
    """Sign every other browser out."""
    with db.current().transaction() as transaction:
        count = sessions.end_others(transaction, viewer.user_id, _cookie(request))
        if count:
            audit.record(transaction, actor(viewer), "session.ended", viewer.email, service_id=None)
    return go(ACCOUNT, "You are signed out everywhere else.")


def _cookie(request: Request[Any, Any, Any]) -> str:
    return request.cookies.get(security.cookie_name(), "")


def _page(request: Request[Any, Any, Any], viewer: Viewer, faults: Faults) -> Page:
    with db.current().read() as reading:
        user = reading.get_one(User, viewer.user_id)
        known = identities.of_user(reading, viewer.user_id)
        codes_left = second_factor.codes_left(reading, viewer.user_id)
        browsers = sessions.of_user(reading, viewer.user_id, _cookie(request))
    return page(
        "account/index.html",
        viewer,
        current="account",
        status_code=faults.status,
        faults=faults,
        has_password=user.password_hash is not None,
        identities=known,
        codes_left=codes_left,
        browsers=browsers,
        provider=oidc.provider_name(),
        least=passwords.MIN_LENGTH,
    )


ROUTES = [show, change_password, end_session, end_other_sessions]
