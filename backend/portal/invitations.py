"""Following an invitation: with the account one has, with a new one, or through the identity provider."""

from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.params import QueryParameter
from sqlalchemy.orm import Session

from backend.accounts import attempts, audit, invitations, oidc, passwords, users
from backend.accounts.invitations import Invited
from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.db.models.accounts import User
from backend.portal import access, security
from backend.portal.forms import Faults, SecretForm, Sent
from backend.portal.pages import Page, go, page
from backend.portal.sign_in import begin_session


class JoinForm(SecretForm):
    """The secret of the link, and a password if an account is to be made."""

    key: str = ""
    password: str = ""


@get("/invitation", sync_to_thread=True)
def show(request: Request[Any, Any, Any], key: Annotated[str, QueryParameter(name="key")] = "") -> Page:
    """Say what is offered and ask how to accept it; looking at the page does not use the link up."""
    invited, known = _find(request, key)
    return _page(access.anyone(request), key, invited, known=known, faults=Faults())


@post("/invitation", sync_to_thread=True)
def join(request: Request[Any, Any, Any], data: Sent[JoinForm]) -> Response[Any]:
    """Accept as who is signed in, if the invitation is for them, else with a new account."""
    invited, known = _find(request, data.key)
    viewer, faults = access.anyone(request), Faults()
    is_theirs = viewer is not None and viewer.email == invited.email
    if not is_theirs and (known or viewer is not None):
        return _page(viewer, data.key, invited, known=known, faults=faults)
    if not is_theirs:
        with faults.on("password"):
            passwords.check(data.password)
        if faults:
            return _page(viewer, data.key, invited, known=known, faults=faults)
    with db.current().transaction() as transaction:
        user = (
            transaction.get_one(User, viewer.user_id)
            if viewer is not None
            else users.join(transaction, invited.email, data.password)
        )
        accept(transaction, invited, user)
        cookies = [] if viewer else [begin_session(transaction, request, user.id)]
    return go(landing(invited), welcome(invited), cookies=cookies)


def accept(transaction: Session, invited: Invited, user: User) -> None:
    """Give a user what the invitation offers, and write it down."""
    invitations.accept(transaction, invited, user)
    audit.record(
        transaction,
        audit.Actor("person", user.email),
        "member.joined",
        user.email,
        service_id=invited.service_id,
        detail={"role": invited.role, "invited_by": invited.invited_by},
    )


def landing(invited: Invited) -> str:
    """Return the address to which a new member is led."""
    return f"{access.SERVICES}/{invited.service_id}" if invited.service_id is not None else security.HOME


def welcome(invited: Invited) -> str:
    """Say that it is done."""
    return f"You have joined {invited.service_name or 'Carillon'}."


def _find(request: Request[Any, Any, Any], key: str) -> tuple[Invited, bool]:
    """Return what a link offers, and whether the invited person has an account."""
    attempts.take(db.current(), (attempts.LINK_ADDRESS, security.network_address(request)))
    with db.current().read() as reading:
        invited = invitations.find(reading, key)
        return invited, users.by_email(reading, invited.email) is not None


def _page(viewer: Viewer | None, key: str, invited: Invited, *, known: bool, faults: Faults) -> Page:
    return page(
        "sign_in/invitation.html",
        viewer,
        status_code=faults.status,
        key=key,
        invited=invited,
        known=known,
        faults=faults,
        least=passwords.MIN_LENGTH,
        provider=oidc.provider_name(),
    )


ROUTES = [show, join]
