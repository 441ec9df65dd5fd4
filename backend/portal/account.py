"""One's own account: the password, and the identities that one signs in with."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.params import Body

from backend.accounts import attempts, audit, identities, oidc, passwords, users
from backend.accounts.sessions import Viewer
from backend.db import session
from backend.db.models.accounts import User
from backend.lib.problems import Problem
from backend.portal.access import ACCOUNT, actor
from backend.portal.forms import Faults
from backend.portal.pages import Page, go, page
from backend.portal.sign_in import begin_session


class ChangeForm(msgspec.Struct):
    """The present password, and the one that takes its place."""

    present: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return "ChangeForm()"


@get("/account", sync_to_thread=True)
def show(viewer: NamedDependency[Viewer]) -> Page:
    """Show the account."""
    return _page(viewer, Faults())


@post("/account/password", sync_to_thread=True)
def change_password(
    request: Request[Any, Any, Any],
    viewer: NamedDependency[Viewer],
    data: Annotated[ChangeForm, Body(media_type=RequestEncodingType.URL_ENCODED)],
) -> Response[Any]:
    """Change the password after the present one was given; every other session of the person's ends."""
    faults, database = Faults(), session.current()
    try:
        attempts.take(database, (attempts.SIGN_IN_HERE, f"{viewer.email} signed in"))
    except Problem as problem:
        faults.add("present", problem.detail)
    if not faults and users.with_password(database, viewer.email, data.present) is None:
        faults.add("present", "This is not your present password.")
    with faults.on("password"):
        passwords.check(data.password)
    if faults:
        return _page(viewer, faults)
    with database.write() as transaction:
        users.set_password(transaction.get_one(User, viewer.user_id), data.password)
        audit.record(transaction, actor(viewer), "password.changed", viewer.email, service_id=None)
        cookie = begin_session(transaction, request, viewer.user_id)
    return go(ACCOUNT, "Your password is changed; other browsers are signed out.", cookies=[cookie])


def _page(viewer: Viewer, faults: Faults) -> Page:
    with session.current().read() as reading:
        user = reading.get_one(User, viewer.user_id)
        known = identities.of_user(reading, viewer.user_id)
    return page(
        "account/index.html",
        viewer,
        current="account",
        status_code=faults.status,
        faults=faults,
        has_password=user.password_hash is not None,
        identities=known,
        provider=oidc.provider_name(),
        least=passwords.MIN_LENGTH,
    )


ROUTES = [show, change_password]
