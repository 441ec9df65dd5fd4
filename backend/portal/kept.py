"""What somebody had typed when their session turned out to be over: kept sealed in the page that asks them to sign in.

Nothing of it is stored here. It opens in the browser that sent it alone, for an hour, and only for the account whose
session it was, where that is still known. Passwords, secrets and files are left out.
"""

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from litestar import Request

from backend.accounts import sessions
from backend.db import database as db
from backend.lib import clock, secrecy, settings
from backend.portal.pages import ONCE
from backend.portal.security import cookie_name, csrf_config
from backend.portal.whereabouts import page_asked_from

FIELD = "kept"
_SECONDS = 3600
# A template's source with the rest of its form, and room to spare below the largest form that is taken.
_MOST_BYTES = 400 * 1024
_LEFT_OUT = re.compile(rf"_csrf_token|{ONCE}|{FIELD}|.*(password|secret|key).*", re.IGNORECASE)


class Kept(msgspec.Struct, frozen=True):
    """A form: where it was sent to, the page to come back to, and its fields; whose it is, if that is known."""

    address: str
    back: str
    fields: list[tuple[str, str]]
    user_id: int | None
    at: float


class Sealed(NamedTuple):
    """A form that was kept, or word that it was too large."""

    text: str = ""
    too_large: bool = False


def seal(request: Request[Any, Any, Any], fields: Iterable[tuple[str, object]]) -> Sealed:
    """Seal the fields of a form that came too late; one that was sealed before stays as it is."""
    given = list(fields)
    before = next((value for name, value in given if name == FIELD), None)
    if isinstance(before, str) and before:
        return Sealed(before)
    typed = [(name, value) for name, value in given if isinstance(value, str) and not _LEFT_OUT.fullmatch(name)]
    if not any(value.strip() for _, value in typed):
        return Sealed()
    value = request.cookies.get(cookie_name())
    owner = sessions.owner(db.current(), value) if value else None
    form = Kept(request.url.path, page_asked_from(request), typed, owner, clock.timestamp())
    plain = msgspec.json.encode(form).decode()
    if len(plain.encode()) > _MOST_BYTES:
        return Sealed(too_large=True)
    return Sealed(secrecy.encrypt(settings.current().secret_key, _sealing_context(request), plain))


def opened(request: Request[Any, Any, Any], sealed: str, user_id: int) -> Kept | None:
    """Return the form that somebody brings along after they have signed in, if it is theirs and not too old."""
    if not sealed.isascii() or not sealed:
        return None
    try:
        plain = secrecy.decrypt(settings.current().secret_key, _sealing_context(request), sealed)
    except ValueError:
        return None
    form = msgspec.json.decode(plain, type=Kept)
    is_theirs = form.user_id in {None, user_id}
    return form if is_theirs and clock.timestamp() - form.at <= _SECONDS else None


def _sealing_context(request: Request[Any, Any, Any]) -> str:
    """Name the browser: by the cookie that its forms are matched with."""
    return f"portal-kept/{request.cookies.get(csrf_config().cookie_name, '')}"
