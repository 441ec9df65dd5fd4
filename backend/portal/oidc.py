"""Signing in at an OpenID provider: the way there, and the return."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import Cookie
from litestar.exceptions import NotFoundException
from litestar.params import QueryParameter

from backend.accounts import attempts, identities, invitations, oidc, oidc_attempts, oidc_people, users
from backend.accounts.oidc import Arrival, Departure, Refused
from backend.accounts.oidc_attempts import Attempt
from backend.db import database as db
from backend.db.models.accounts import User
from backend.lib import secrecy, settings
from backend.portal import access, security
from backend.portal.access import ACCOUNT
from backend.portal.forms import Sent
from backend.portal.invitations import accept, landing, welcome
from backend.portal.pages import go, page
from backend.portal.sign_in import begin_session

_BACK = "Begin again from the sign-in page."


class DepartForm(msgspec.Struct):
    """Where to come back to, and the secret of an invitation if one is on the way to accept it."""

    next: str = ""
    key: str = ""
    connect: str = ""

    def __repr__(self) -> str:
        return f"DepartForm(next={self.next!r})"


@post("/sign-in/oidc", opt={"keeps_nothing": True}, sync_to_thread=True)
def depart(request: Request[Any, Any, Any], data: Sent[DepartForm]) -> Response[Any]:
    """Send the browser to the provider, with what its return is validated by kept here and bound to the browser."""
    if not oidc.is_set():
        raise NotFoundException
    attempts.take(db.current(), (attempts.SIGN_IN_ADDRESS, security.network_address(request)))
    viewer = access.signed_in(request) if data.connect else None
    departure, browser = oidc.depart(), secrecy.make_secret()
    with db.current().transaction() as transaction:
        invitation_id = invitations.find(transaction, data.key).id if data.key else None
        attempt = Attempt(
            departure.nonce,
            departure.code_verifier,
            ACCOUNT if viewer else security.safe_address(data.next),
            invitation_id,
            viewer.user_id if viewer else None,
        )
        oidc_attempts.begin(transaction, departure.state, browser, attempt)
    # A page that leads on, not a redirect: browsers hold every hop of a form's redirects against the page's policy,
    # and a provider may pass on to others.
    answer = page("sign_in/leaving.html", None, address=departure.address, provider=oidc.provider_name())
    answer.cookies.append(_cookie(browser))
    return answer


@get("/sign-in/oidc/callback", sync_to_thread=True)
def arrive(
    request: Request[Any, Any, Any],
    sent: Annotated[str, QueryParameter(name="state")] = "",
    code: Annotated[str, QueryParameter(name="code")] = "",
    issuer: Annotated[str | None, QueryParameter(name="iss")] = None,
) -> Response[Any]:
    """Validate the answer and sign in whoever it names; an attempt is good for one return."""
    if not oidc.is_set():
        raise NotFoundException
    attempts.take(db.current(), (attempts.SIGN_IN_ADDRESS, security.network_address(request)))
    with db.current().transaction() as transaction:
        attempt = oidc_attempts.take(transaction, sent, request.cookies.get(_cookie_name(), ""))
    if attempt is None:
        return _refusal("This sign-in was begun in another browser, is finished, or took longer than ten minutes.")
    if not code:
        said = request.query_params
        return _refusal(str(oidc.refused_by_provider(said.get("error"), said.get("error_description"))))
    departed = Departure("", sent, attempt.nonce, attempt.code_verifier)
    try:
        arrival = oidc.arrive(code, issuer, departed)
    except Refused as refused:
        return _refusal(str(refused))
    return _enter(request, attempt, arrival)


def _enter(request: Request[Any, Any, Any], attempt: Attempt, arrival: Arrival) -> Response[Any]:
    address, done = attempt.next_address, None
    with db.current().transaction() as transaction:
        user = identities.user_of(transaction, arrival.issuer, arrival.subject)
        if attempt.user_id is not None:
            owner = transaction.get_one(User, attempt.user_id)
            if not identities.connect(transaction, owner, arrival.issuer, arrival.subject):
                return _refusal("This identity belongs to another account here.")
            user, done = owner, f"You can sign in through {oidc.provider_name()} from now on."
            oidc_people.note_connected(transaction, owner, arrival)
        elif attempt.invitation_id is not None:
            invited = invitations.by_id(transaction, attempt.invitation_id)
            user = user or users.by_email(transaction, invited.email) or users.join(transaction, invited.email, None)
            if identities.user_of(transaction, arrival.issuer, arrival.subject) is None:
                identities.connect(transaction, user, arrival.issuer, arrival.subject)
                oidc_people.note_connected(transaction, user, arrival)
            accept(transaction, invited, user)
            address, done = landing(invited), welcome(invited)
        user = oidc_people.admit(transaction, user, arrival)
        if user is None:
            return page("sign_in/unknown.html", None, status_code=403, arrival=arrival, provider=oidc.provider_name())
        if not user.active:
            return _refusal("Your account has been switched off. Ask whoever runs this installation.")
        cookie = begin_session(transaction, request, user.id, by_provider=True)
    return go(address, done, cookies=[cookie, _cookie("")])


def _refusal(reason: str) -> Response[Any]:
    answer = page("sign_in/refused.html", None, status_code=403, reason=reason, remedy=_BACK)
    answer.cookies.append(_cookie(""))
    return answer


def _cookie_name() -> str:
    return "__Host-carillon-oidc" if security.in_production() else "carillon-oidc"


def _cookie(value: str) -> Cookie:
    return Cookie(
        key=_cookie_name(),
        value=value,
        max_age=int(oidc_attempts.VALID.total_seconds()) if value else 0,
        path="/",
        secure=settings.current().env == "production",
        httponly=True,
        samesite="lax",
    )


ROUTES = [depart, arrive]
