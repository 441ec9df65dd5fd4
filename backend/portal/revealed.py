"""A new secret on its way from the form that made it to the page that shows it, once.

It travels encrypted, in a cookie of this page alone that lasts a minute; nothing of it is stored here.
"""

from typing import Any

from litestar import Request, Response
from litestar.datastructures import Cookie

from backend.lib import secrecy, settings
from backend.portal.pages import Go, Page, go
from backend.portal.security import in_production

_SECONDS = 60


def lead(address: str, secret: str, fragment: str = "") -> Go:
    """Lead to the page at ``address``, which shows the secret at ``fragment``, such as ``#token``."""
    sealed = secrecy.encrypt(settings.current().secret_key, _sealing_context(address), secret)
    return go(address + fragment, cookies=[_cookie(address, sealed, _SECONDS)])


def taken(request: Request[Any, Any, Any]) -> str | None:
    """Return the secret that a browser brings to this page, if it brings one of ours."""
    sealed = request.cookies.get(_name())
    if not sealed or not sealed.isascii():
        return None
    try:
        return secrecy.decrypt(settings.current().secret_key, _sealing_context(request.url.path), sealed)
    except ValueError:
        return None


def once(request: Request[Any, Any, Any], answer: Page) -> Response[Any]:
    """Take the secret from the browser with the page that shows it."""
    if _name() in request.cookies:
        answer.cookies.append(_cookie(request.url.path, "", 0))
    return answer


def _sealing_context(address: str) -> str:
    return f"portal-secret/{address}"


def _name() -> str:
    return "__Secure-carillon-secret" if in_production() else "carillon-secret"


def _cookie(address: str, value: str, seconds: int) -> Cookie:
    return Cookie(
        key=_name(),
        value=value,
        max_age=seconds,
        path=address,
        secure=in_production(),
        httponly=True,
        samesite="strict",
    )
