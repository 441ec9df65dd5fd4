"""What guards the portal's pages: response headers, the CSRF token, the Origin check, cookies, safe redirects."""

import re
from typing import Any
from urllib.parse import urlsplit

from litestar import Request, Response
from litestar.config.csrf import CSRFConfig
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.exceptions import PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware.csrf import CSRFMiddleware
from litestar.types import ASGIApp
from litestar.utils.scope.state import ScopeState

from backend.accounts import sessions
from backend.lib import http, inputs, secrecy, settings
from backend.lib.problems import Problem

HOME = "/portal"
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_PORTAL_ADDRESS = re.compile(r"/portal(/[A-Za-z0-9._~-]+)*(\?[A-Za-z0-9._~=&%+-]*)?")

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A message's HTML comes from templates and clients: it may carry its styles and embedded images, and do nothing.
MESSAGE_POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
# The same for an editor's preview, whose links open a page of ours in a new tab.
PREVIEW_POLICY = MESSAGE_POLICY.replace("sandbox;", "sandbox allow-popups allow-popups-to-escape-sandbox;")


def harden(response: Response[Any]) -> Response[Any]:
    """Add the security headers that every portal page carries, where the page has not set its own."""
    headers = http.security_headers(PAGE_POLICY) | {
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    return response


def in_production() -> bool:
    """Tell whether cookies must be secure."""
    return settings.current().env == "production"


def csrf_config() -> CSRFConfig:
    """Configure the CSRF token of the portal's forms.

    The cookie's name tells which secret key signed it: after a change of key, or beside another installation on
    the same host, a browser is given a new token instead of keeping one that can never be right.
    """
    secret_key = settings.current().secret_key
    prefix = "__Host-" if in_production() else ""
    return CSRFConfig(
        secret=secrecy.digest(secret_key, "csrf", "portal"),
        cookie_name=f"{prefix}carillon-csrf-{secrecy.key_id(secret_key)}",
        cookie_secure=in_production(),
        cookie_httponly=True,
        cookie_samesite="lax",
    )


class PortalCsrf(CSRFMiddleware):
    """Litestar's CSRF protection for the portal's routes alone: the APIs take bearer tokens and have no cookies."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(app, csrf_config())

    def _decode_csrf_token(self, token: object) -> str | None:
        """Read a token; the framework fails on one that is a file or has letters that no token has."""
        return super()._decode_csrf_token(token) if isinstance(token, str) and token.isascii() else None

    def accepts(self, given: object, cookie: str | None) -> bool:
        """Tell whether a form's token is the one of its browser's cookie."""
        return isinstance(given, str) and cookie is not None and self._csrf_tokens_match(given, cookie)


def check_token(request: Request[Any, Any, Any], given: object) -> None:
    """See that a form's token is its browser's, where a handler reads the form itself.

    Raises:
        PermissionDeniedException: if it is not.
    """
    if not PortalCsrf(request.app.asgi_handler).accepts(given, request.cookies.get(csrf_config().cookie_name)):
        raise PermissionDeniedException("The form's token is not this browser's.")
    keep_token(request)


def keep_token(request: Request[Any, Any, Any]) -> None:
    """Let the next page's forms carry the token that the browser has, where the middleware has not read it."""
    ScopeState.from_scope(request.scope).csrf_token = request.cookies.get(csrf_config().cookie_name, "")


def same_origin(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Guard: refuse a form that was sent from another site's page.

    Raises:
        PermissionDeniedException: if the Origin header names another origin than ours.
    """
    request = Request[Any, Any, Any](connection.scope)
    origin = request.headers.get("origin")
    if request.method in _SAFE_METHODS or origin is None:
        return
    base = urlsplit(settings.current().base_url)
    ours = {f"{base.scheme}://{base.netloc}"}
    if not in_production():  # localhost and 127.0.0.1 are the same host while developing
        ours.add(f"{request.url.scheme}://{request.headers.get('host', '')}")
    if origin not in ours:
        raise PermissionDeniedException("The form was sent from a page of another site.")


def check_fields(fields: Any) -> None:
    """Refuse fields of a form, as pairs, of which a name or a text cannot be kept.

    Raises:
        Problem: ``invalid_request``.
    """
    for name, value in fields:
        given = value if isinstance(value, str) else getattr(value, "filename", None) or ""
        if fault := inputs.text_fault(str(name)) or inputs.text_fault(given):
            raise Problem("invalid_request", f"The form cannot be used: {fault}")


def network_address(connection: ASGIConnection[Any, Any, Any, Any]) -> str:
    """Return where a request comes from, as the server (and the proxies it trusts) tells it."""
    return http.network_address(connection.client.host if connection.client else None)


def cookie_name() -> str:
    """Return the name of the session cookie; the prefix makes browsers insist on Secure, Path=/ and no Domain."""
    return "__Host-carillon" if in_production() else "carillon"


def session_cookie(value: str) -> Cookie:
    """Return the cookie that signs a browser in, or, with an empty value, the one that signs it out."""
    return Cookie(
        key=cookie_name(),
        value=value,
        max_age=int(sessions.ABSOLUTE.total_seconds()) if value else 0,
        path="/",
        secure=in_production(),
        httponly=True,
        samesite="lax",
    )


def safe_address(wanted: str | None) -> str:
    """Return ``wanted`` if it is an address inside the portal, else the portal's home."""
    return wanted if wanted and _PORTAL_ADDRESS.fullmatch(wanted) else HOME
