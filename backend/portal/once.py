"""A form that is sent twice does its thing once: every page's forms carry a mark that is good for one success.

A mark counts together with what was sent, so that a form which was put right, or another of the same page, is another
thing. What did not succeed (no redirect) gives its mark back. Scripts send their forms one by one and are left alone.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from litestar import Request, Response
from litestar.concurrency import sync_to_thread
from litestar.middleware import MiddlewareProtocol
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from backend.accounts import attempts
from backend.db import database as db
from backend.portal.pages import ONCE, go
from backend.portal.security import cookie_name
from backend.portal.whereabouts import page_of

_LIMIT = attempts.Bucket("form-once", 1, 86_400)
_STATE = "form_taken"
_REDIRECTS = range(300, 400)


class SentTwiceError(Exception):
    """The same form of the same page has been taken already."""


async def take(request: Request[Any, Any, Any], fields: Iterable[tuple[str, object]]) -> None:
    """Count a form of somebody who is signed in.

    A handler whose option ``shows_again`` says that each button but the main one shows the form again is asked as
    often as one of these is pressed: to be led elsewhere would lose what was written.

    Raises:
        SentTwiceError: if it was counted before and did its thing, or is about to.
    """
    given = list(fields)
    mark = next((value for name, value in given if name == ONCE), None)
    by_script = request.headers.get("hx-request") == "true"
    if not isinstance(mark, str) or not mark or by_script or cookie_name() not in request.cookies:
        return
    if request.route_handler.opt.get("shows_again") and any(name == "action" and value for name, value in given):
        return
    sent = [(name, value if isinstance(value, str) else getattr(value, "filename", "")) for name, value in given]
    what = hashlib.sha256(repr((request.url.path, sorted(sent))).encode()).hexdigest()
    if not await sync_to_thread(_passes, what):
        raise SentTwiceError
    request.state[_STATE] = what


def _passes(what: str) -> bool:
    with db.current().transaction(durable=False) as transaction:
        return attempts.passes(transaction, _LIMIT, what)


def _give_back(what: str) -> None:
    with db.current().transaction(durable=False) as transaction:
        attempts.give_back(transaction, _LIMIT, what)


class GivesBack(MiddlewareProtocol):
    """Gives a form's mark back where the answer is no redirect: nothing was done, and it may be sent again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at the status of the answer."""

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] not in _REDIRECTS:
                what = scope.get("state", {}).pop(_STATE, None)
                if what is not None:
                    await sync_to_thread(_give_back, what)
            await send(message)

        await self._app(scope, receive, watch)


def on_sent_twice(request: Request[Any, Any, Any], _error: Exception) -> Response[Any]:
    """Lead to the page where the first of the two has left its trace."""
    return go(page_of(request.app, request.url.path), "The form came twice; what it asks for was done once.")
