"""What every portal page is given: its template, who looks at it, the sidebar, and one-time messages.

A page and the part of it that refreshes itself are the same template folder and the same context function. After a
change a handler answers ``go(address, done="Sentence.")``: the browser gets the next page, with the sentence as a
toast on it.
"""

import base64
import json
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from litestar import Request, Response
from litestar.datastructures import Cookie
from litestar.response import Template
from litestar.response.base import ASGIResponse
from sqlalchemy.exc import SQLAlchemyError

from backend.accounts.sessions import Viewer
from backend.db import database as db
from backend.lib import secrecy, settings
from backend.portal.access import SERVICES, Workspace
from backend.portal.security import in_production
from backend.restored import report

# The hidden field by which a form that is sent twice is known.
ONCE = "once"
_WITH_FORMS = {200, 409, 422}
_TOAST_SECONDS = 60
_TOAST_LENGTH = 500
_SWITCHER_LENGTH = 12


class Entry(NamedTuple):
    """One entry of the sidebar; ``icon`` is a name of ``components/icon.html``."""

    name: str
    label: str
    address: str
    icon: str


class Frame(NamedTuple):
    """What stands around a page: sidebar and service switcher."""

    current: str
    entries: tuple[Entry, ...]
    below: tuple[Entry, ...]
    service_name: str | None
    role: str | None
    others: tuple[tuple[str, str], ...]
    all_services: str | None


_MAIN = (
    ("home", "Home", "", "home"),
    ("notifications", "Notifications", "notifications", "bell"),
    ("worklist", "Worklist", "worklist", "list"),
    ("batches", "Batches", "batches", "stack"),
    ("templates", "Templates", "templates", "file"),
    ("recipients", "Recipients", "recipients", "people"),
    ("clients", "API clients", "clients", "key"),
    ("jobs", "Jobs", "jobs", "upload"),
    ("outbox", "Outbox", "outbox", "outbox"),
)
_BELOW = (
    ("team", "Team", "team", "person"),
    ("settings", "Settings", "settings", "sliders"),
    ("audit", "Audit log", "audit", "list"),
    ("guide", "Guide", "guide", "book"),
)
_ADMIN = Entry("admin", "Platform admin", "/portal/admin", "shield")
_DOCS = (
    Entry("docs", "API documentation", "/docs", "book"),
    Entry("errors", "Error catalogue", "/docs/errors", "warning"),
    Entry("handbook", "Handbook", "/docs/guide", "book"),
)


class Page(Template):
    """A page that shows the toast which its browser brings along, once; its forms carry a mark of their page."""

    def create_template_context(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """Put the mark beside the CSRF token, where forms have their hidden fields."""
        context = super().create_template_context(request)
        if self.context.get("viewer") is None or self.status_code not in _WITH_FORMS:
            return context
        mark = f'<input type="hidden" name="{ONCE}" value="{secrets.token_urlsafe(12)}">'
        return {**context, "csrf_input": context["csrf_input"] + mark}

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **rest: Any) -> ASGIResponse:
        """Render the page; a toast that was shown is taken from the browser."""
        toast = Toast(request)
        self.context |= {"toast": toast}
        answer = super().to_asgi_response(app, request, **rest)
        if toast.taken:
            answer.headers.add("set-cookie", _toast_cookie("", 0).to_header(header=""))
        return answer


def page(  # noqa: PLR0913 - what a page is made of, each named at the call
    template: str,
    viewer: Viewer | None,
    *,
    current: str = "",
    workspace: Workspace | None = None,
    home: str = "",
    status_code: int = 200,
    **context: Any,
) -> Page:
    """Make a page from a template of ``portal_templates``.

    ``current`` names the sidebar entry that the page belongs to; ``workspace`` is the service whose page it is. Whoever
    is not signed in sees the current entry alone, and it leads to ``home``, the address with the key that let them
    in.
    """
    frame = _frame(viewer, current, workspace) if viewer else _frame_by_key(current, home)
    common = {"viewer": viewer, "workspace": workspace, "frame": frame, "held_since": _held_since()}
    return Page(template, context=common | context, status_code=status_code, media_type="text/html")


def _held_since() -> datetime | None:
    """Return since when what waited in a restored database is held back; a page that says so needs no database."""
    try:
        with db.current().autocommit() as looking:
            return report.since(looking)
    except SQLAlchemyError:
        return None


def _frame(viewer: Viewer, current: str, workspace: Workspace | None) -> Frame:
    here = workspace.service_id if workspace else None
    entries = _entries(workspace, _MAIN) if workspace else ()
    below = _entries(workspace, _BELOW) if workspace else ()
    others = [member for member in viewer.memberships if member.service_id != here]
    more = viewer.platform_admin or len(others) > _SWITCHER_LENGTH
    return Frame(
        current=current,
        entries=entries,
        below=below + ((_ADMIN,) if viewer.platform_admin else ()) + (() if workspace else _DOCS),
        service_name=workspace.service_name if workspace else None,
        role=workspace.role if workspace else None,
        others=tuple((one.service_name, f"{SERVICES}/{one.service_id}") for one in others[:_SWITCHER_LENGTH]),
        all_services=SERVICES if more else None,
    )


def _entries(workspace: Workspace, named: Iterable[tuple[str, str, str, str]]) -> tuple[Entry, ...]:
    return tuple(Entry(name, label, workspace.address(path), icon) for name, label, path, icon in named)


def _frame_by_key(current: str, home: str) -> Frame:
    entries = tuple(Entry(name, label, home, icon) for name, label, _, icon in _MAIN if name == current)
    return Frame(current, entries, _DOCS, None, None, (), None)


class Go(Response[None]):
    """The way to the next page: a redirect for browsers, the same by a header for htmx."""

    def __init__(self, address: str, done: str | None, cookies: Iterable[Cookie] = ()) -> None:
        own = [*cookies, _toast_cookie(_seal(done), _TOAST_SECONDS)] if done else list(cookies)
        super().__init__(None, status_code=303, headers={"Location": address}, cookies=own)

    def to_asgi_response(self, app: Any, request: Request[Any, Any, Any], **rest: Any) -> ASGIResponse:
        """Answer in the way that the asking side follows: htmx would fetch a redirect's page into a part of its own."""
        if request.headers.get("hx-request") == "true":
            self.status_code = 200
            self.headers["HX-Redirect"] = self.headers.pop("Location")
        return super().to_asgi_response(app, request, **rest)


def go(address: str, done: str | None = None, cookies: Iterable[Cookie] = ()) -> Go:
    """Lead to ``address``, an address of the portal, after a change; ``done`` is said there once, as a toast.

    The sentence travels in a signed cookie for at most a minute: no secret goes into it.
    """
    return Go(address, done, cookies)


class Toast:
    """The message that a browser brings along; ``taken`` tells that the page has shown it."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        self._sealed = request.cookies.get(_toast_name())
        self.taken = False

    def take(self) -> str:
        """Return the sentence, empty if there is none or somebody else has written it."""
        self.taken = self._sealed is not None
        return _unseal(self._sealed) if self._sealed else ""


def _toast_name() -> str:
    return "__Host-carillon-toast" if in_production() else "carillon-toast"


def _toast_cookie(value: str, seconds: int) -> Cookie:
    return Cookie(
        key=_toast_name(),
        value=value,
        max_age=seconds,
        path="/",
        secure=in_production(),
        httponly=True,
        samesite="lax",
    )


def _seal(sentence: str) -> str:
    text = base64.urlsafe_b64encode(json.dumps(sentence[:_TOAST_LENGTH]).encode()).decode().rstrip("=")
    return f"{text}.{_signature(text)}"


def _unseal(sealed: str) -> str:
    text, _, signature = sealed.partition(".")
    if not text.isascii() or not secrecy.same(signature, _signature(text)):
        return ""
    return str(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


def _signature(text: str) -> str:
    return secrecy.digest(settings.current().secret_key, "portal-toast", text)
