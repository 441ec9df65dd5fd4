"""Who may do what with notifications: RFC 6750 to the letter."""

from typing import Any

import pytest

from backend.accounts import clients
from backend.db.models.accounts import ApiClient
from tests.api.conftest import Site, is_problem
from tests.factories import notification

SEND, READ = "notifications:send", "notifications:read"
ADDRESSES = [
    ("POST", "/notifications/v1", SEND),
    ("POST", "/notifications/v1/explain", SEND),
    ("GET", "/notifications/v1", READ),
    ("GET", "/notifications/v1/00000000-0000-8000-8000-000000000000", READ),
]
TOKENS = {
    "nonsense": "nonsense",
    "unsigned": "eyJhbGciOiJub25lIn0.e30.",
    "three dots": "a.b.c.d",
    "spaces": "two words",
    "umlaut": "t%C3%B6ken",
    "empty": "",
    "very long": "a" * 20_000,
}


def ask(site: Site, method: str, path: str, authorization: str | None) -> Any:
    request = site.http.build_request(method, path, json=notification() if method == "POST" else None)
    request.headers.pop("authorization")
    if authorization is not None:
        request.headers["authorization"] = authorization
    return site.http.send(request)


@pytest.mark.parametrize(("method", "path", "scope"), ADDRESSES)
@pytest.mark.parametrize("authorization", [None, "", "Basic dXNlcjpwYXNz", "Token abc"])
def test_no_token_is_401_with_a_bare_challenge(
    site: Site, method: str, path: str, scope: str, authorization: str | None
) -> None:
    answer = ask(site, method, path, authorization)
    is_problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == 'Bearer realm="Carillon"'
    assert site.stored() == (0, 0)


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_that_is_none_is_401_invalid_token(site: Site, kind: str) -> None:
    for method, path, _ in ADDRESSES:
        answer = ask(site, method, path, f"Bearer {TOKENS[kind]}")
        is_problem(answer, 401, "invalid_token")
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="Carillon", error="invalid_token", error_description="')
        assert challenge.isascii()
    assert site.stored() == (0, 0)


def test_a_token_of_a_revoked_client_is_401(site: Site) -> None:
    assert site.send(notification()).status_code == 202
    with site.laboratory.database.transaction() as session:
        clients.revoke_client(session, session.get_one(ApiClient, site.laboratory.client.id))
    answer = site.send(notification("S-2"))
    is_problem(answer, 401, "invalid_token")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert site.stored() == (1, 1)


@pytest.mark.parametrize(("method", "path", "scope"), ADDRESSES)
def test_a_token_without_the_scope_is_403_and_names_it(site: Site, method: str, path: str, scope: str) -> None:
    others = [one for one in clients.SCOPES if one != scope]
    answer = ask(site, method, path, site.authorization(site.laboratory, *others)["Authorization"])
    assert scope in is_problem(answer, 403, "insufficient_scope")["detail"]
    challenge = answer.headers["www-authenticate"]
    assert 'error="insufficient_scope"' in challenge
    assert f'scope="{scope}"' in challenge
    assert site.stored() == (0, 0)


@pytest.mark.parametrize(("method", "path", "scope"), ADDRESSES)
def test_a_token_of_the_scope_alone_is_enough(site: Site, method: str, path: str, scope: str) -> None:
    answer = ask(site, method, path, site.authorization(site.laboratory, scope)["Authorization"])
    assert answer.status_code in {200, 202, 404}


def test_who_may_not_is_told_so_before_what_is_wrong_with_the_body(site: Site) -> None:
    answer = site.http.post("/notifications/v1", content=b"{", headers={"Authorization": "Bearer nonsense"})
    is_problem(answer, 401, "invalid_token")


@pytest.mark.parametrize(("method", "path", "scope"), ADDRESSES)
def test_a_token_in_the_address_is_no_token_and_an_unknown_parameter_is_named(
    site: Site, method: str, path: str, scope: str
) -> None:
    token = site.http.headers["authorization"].removeprefix("Bearer ")
    is_problem(ask(site, method, f"{path}?access_token={token}", None), 401, "unauthenticated")
    answer = ask(site, method, f"{path}?verbose=1", f"bearer {token}")
    problem = is_problem(answer, 400, "invalid_request")
    assert [(one["pointer"], one["code"]) for one in problem["errors"]] == [("/verbose", "unknown_member")]
