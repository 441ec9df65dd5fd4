"""Every address asks who is there, but for a short list that stands here."""

import re
from collections.abc import Iterator

from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from backend.accounts.clients import SCOPES
from backend.api import guards
from tests.api.conftest import Site
from tests.application import application

# Open to anyone, each for its reason.
PUBLIC = {
    "GET /",  # a list of links, or the way to the portal
    "POST /oauth/token",  # asks for the client's own credentials
    "POST /oauth/revoke",
    "POST /oauth/introspect",
    "GET /.well-known/oauth-authorization-server",
    "GET /.well-known/jwks.json",
    "GET /docs",
    "GET /docs/models",
    "GET /docs/openapi.json",
    "GET /docs/errors",
    "GET /docs/guide",
    "GET /docs/guide/{name:path}",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",  # in production for its own token or from loopback alone
    "POST /receipts/bounce",  # asks for its own token
    "POST /receipts/{kind:str}",  # asks for the provider's signature
    "GET /portal/sign-in",
    "POST /portal/sign-in",
    "GET /portal/sign-in/oidc/callback",  # checks the identity provider's answer
    "GET /portal/password",  # the way back for those who cannot sign in
    "GET /portal/password/new",  # asks for the secret of a mailed link, as the next does
    "GET /portal/invitation",
    "GET /portal/sender",
    "GET /static/{file_path:path}",
    "GET /files/{token:str}",  # the secret of a mailed link, and an address that the mail went to
    "POST /files/{token:str}",
    "POST /files/{token:str}/download",
    "GET /acknowledge/{token:str}",  # the signature in a mailed link
    "POST /acknowledge/{token:str}",
}
EXAMPLES = {
    "{notification_id:str}": "00000000-0000-8000-8000-000000000000",
    "{recipient_id:str}": "X_LAB",
    "{policy_id:str}": "X_ON_CALL",
    "{template_id:str}": "X_SAMPLE",
    "{aggregator_id:str}": "run-1",
    "{message_id:str}": "msg_00000000000000000000000000000000",
    "{channel:str}": "EMAIL",
    "{address:str}": "lab@lab.example",
}
OF_A_TYPE = {"int": "1", "str": "example", "uuid": "00000000-0000-8000-8000-000000000000"}


def address_of(path: str) -> str:
    """Write an example in the place of each parameter."""
    return re.sub(
        r"\{\w+:(\w+)\}",
        lambda found: EXAMPLES.get(found[0]) or OF_A_TYPE.get(found[1], found[0]),
        path,
    )


def routes() -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Yield every method and path that the application answers, without the framework's own OPTIONS."""
    for route in application().routes:
        if isinstance(route, HTTPRoute):
            for method, (handler, _) in route.route_handler_map.items():
                if method != "OPTIONS":
                    yield str(method), route.path, handler


def test_every_address_of_the_api_asks_for_a_token_with_a_scope_that_exists() -> None:
    unguarded, scopes = set(), set()
    for method, path, handler in routes():
        if path.startswith(("/notifications/v1", "/registry")):
            scopes.add(handler.opt.get("scope"))
            if guards.bearer not in handler.resolve_guards():
                unguarded.add(f"{method} {path}")
    assert unguarded == set()
    assert scopes == set(SCOPES)


def test_an_address_that_only_looks_asks_for_a_scope_to_read_and_one_that_acts_does_not() -> None:
    for method, path, handler in routes():
        scope = handler.opt.get("scope")
        if scope is not None and method in {"GET", "PUT", "DELETE"}:
            assert scope.endswith(":read") == (method == "GET"), f"{method} {path}"


def test_nobody_gets_past_the_entry_point_without_credentials(site: Site) -> None:
    del site.http.headers["authorization"]
    open_to_all = set()
    for method, path, _ in routes():
        address = address_of(path)
        if f"{method} {path}" in PUBLIC:
            continue
        assert "{" not in address, f"write an example for {path}"
        answer = site.http.request(method, address, follow_redirects=False)
        away = answer.status_code == 303 and answer.headers["location"].startswith("/portal/sign-in")
        if answer.status_code not in {401, 403} and not away:
            open_to_all.add(f"{method} {path} {answer.status_code}")
    assert open_to_all == set()


def test_the_list_of_open_addresses_names_none_that_is_gone() -> None:
    assert {f"{method} {path}" for method, path, _ in routes()} >= PUBLIC


def test_the_allow_header_names_every_method_of_an_address(site: Site) -> None:
    answered: dict[str, set[str]] = {}
    for method, path, _ in routes():
        answered.setdefault(address_of(path), {"OPTIONS"}).add(method)
    assert {"GET", "POST"} < answered["/notifications/v1"]
    for address, methods in answered.items():
        expected = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
        for method, status in (("OPTIONS", 204), ("TRACE", 405)):
            answer = site.http.request(method, address, follow_redirects=False)
            if answer.status_code == 303 and address.startswith("/portal/"):
                continue  # to the page for signing in
            assert (answer.status_code, answer.headers.get("allow")) == (status, expected), f"{method} {address}"
