"""Where nobody is signed in (any more): the way to the sign-in page, back from it, and what was typed meanwhile."""

from typing import Any
from urllib.parse import urlencode

import msgspec
from litestar import Request, Response, post
from litestar.datastructures import FormMultiDict
from litestar.di import NamedDependency
from litestar.response import Redirect
from litestar.types import Empty
from litestar.utils.scope.state import ScopeState
from litestar_htmx import ClientRedirect

from backend.accounts.sessions import Viewer
from backend.portal import kept, sign_in
from backend.portal.access import SECOND_FACTOR, SIGN_IN
from backend.portal.forms import Sent
from backend.portal.pages import go
from backend.portal.security import HOME, cookie_name, harden, safe_address
from backend.portal.whereabouts import OWN_REFRESH, page_above, page_asked_from, with_query


class KeptForm(msgspec.Struct):
    """What was kept, sealed, and the page to come back to if it does not open."""

    kept: str = ""
    next: str = ""

    def __repr__(self) -> str:
        return f"KeptForm(next={self.next!r})"


@post("/kept", sync_to_thread=True)
def show_kept(request: Request[Any, Any, Any], viewer: NamedDependency[Viewer], data: Sent[KeptForm]) -> Response[Any]:
    """Show what was typed before the session ended, to be sent now: for who has signed in in another tab."""
    form = kept.opened(request, data.kept, viewer.user_id)
    return sign_in.show_kept(form) if form else go(safe_address(data.next))


def on_sign_in_needed(request: Request[Any, Any, Any], _error: Exception) -> Response[Any]:
    """Send a browser to the sign-in page, from which it comes back to the page that it has before it.

    A part that a page asks for is no place to come back to. A form that came too late is kept in the answer, unless
    its handler says (``keeps_nothing``) that it is made of passwords.
    """
    ended = cookie_name() in request.cookies
    if request.headers.get("hx-request") == "true":
        return harden(ClientRedirect(redirect_to=_address(page_asked_from(request), ended=True)))
    if request.method != "GET":
        return harden(_keep(request))
    back = with_query(request.url.path, dict(request.query_params.items()))
    return harden(Redirect(_address(safe_address(back), ended=ended), status_code=303))


def _address(back: str, *, ended: bool) -> str:
    query = ({"next": back} if back != HOME else {}) | ({"ended": "yes"} if ended else {})
    return f"{SIGN_IN}?{urlencode(query)}" if query else SIGN_IN


def _keep(request: Request[Any, Any, Any]) -> Response[Any]:
    read = ScopeState.from_scope(request.scope).form
    fields: list[tuple[str, object]] = []
    if read is not Empty and not request.route_handler.opt.get("keeps_nothing"):
        fields = list(FormMultiDict.from_form_data(read).multi_items())
    given = dict(fields)
    back = safe_address(str(given["next"])) if kept.FIELD in given and "next" in given else page_asked_from(request)
    sealed = kept.seal(request, fields)
    if not sealed.text and not sealed.too_large:
        return Redirect(_address(back, ended=True), status_code=303)
    return sign_in.form(back, ended=True, kept=sealed, status=401)


def on_second_factor_needed(request: Request[Any, Any, Any], _error: Exception) -> Response[Any]:
    """Send somebody to where two-factor sign-in is set up."""
    if request.headers.get("hx-request") == "true":
        return harden(ClientRedirect(redirect_to=SECOND_FACTOR))
    return harden(Redirect(SECOND_FACTOR, status_code=303))


def on_part_alone(request: Request[Any, Any, Any], _error: Exception) -> Response[Any]:
    """Lead whoever opens a part of a page by itself to the whole page."""
    back = with_query(page_above(request.app, request.url.path), dict(request.query_params.items()), OWN_REFRESH)
    return harden(Redirect(safe_address(back), status_code=303))


ROUTES = [show_kept]
