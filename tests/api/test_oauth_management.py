"""Revocation, introspection and metadata."""

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from joserfc import jwt
from joserfc.jwk import KeySet
from litestar import Litestar
from litestar.testing import TestClient

from backend.accounts import clients
from backend.accounts.clients import NewClient
from backend.accounts.oauth import signatures
from backend.api import openapi
from backend.db.database import Database
from tests.accounts.http_client import BASE_URL, FORM, bearer, http_client, new_client, token_of
from tests.conftest import MovableClock


@pytest.fixture
def client(database: Database) -> NewClient:
    return new_client(database)


@pytest.fixture
def http(database: Database) -> TestClient[Litestar]:
    return http_client()


def pair(client: NewClient) -> tuple[str, str]:
    return client.client_id, client.client_secret


def test_a_live_token_is_described_to_its_client(
    http: TestClient[Litestar], client: NewClient, moving_clock: MovableClock
) -> None:
    token = token_of(http, client, "registry:read")
    answer = http.post("/oauth/introspect", data={"token": token}, auth=pair(client))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    now = int(moving_clock().timestamp())
    assert body.pop("jti")
    assert body == {
        "active": True,
        "scope": "registry:read",
        "client_id": client.client_id,
        "sub": client.client_id,
        "token_type": "Bearer",
        "iss": BASE_URL,
        "aud": BASE_URL,
        "iat": now,
        "exp": now + 600,
    }


def test_unknown_expired_revoked_and_foreign_tokens_are_only_inactive(
    http: TestClient[Litestar], client: NewClient, database: Database, moving_clock: MovableClock
) -> None:
    expired = token_of(http, client)
    moving_clock.forward(seconds=601)
    revoked, foreign = token_of(http, client), token_of(http, new_client(database, "Another"))
    assert http.post("/oauth/revoke", data={"token": revoked}, auth=pair(client)).status_code == 200
    for token in ("nonsense", "a.b.c", expired, revoked, foreign, foreign[:-8] + "AAAAAAAA"):
        answer = http.post("/oauth/introspect", data={"token": token}, auth=pair(client))
        assert (answer.status_code, answer.json()) == (200, {"active": False})


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "whatever", None])
def test_a_revoked_token_is_refused_at_once(http: TestClient[Litestar], client: NewClient, hint: str | None) -> None:
    token = token_of(http, client)
    assert http.get("/guarded", headers=bearer(token)).status_code == 200
    form = {"token": token} | ({"token_type_hint": hint} if hint else {})
    for _ in range(2):
        answer = http.post("/oauth/revoke", data=form, auth=pair(client))
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert http.get("/guarded", headers=bearer(token)).status_code == 401


def test_an_unknown_token_is_revoked_without_a_word(http: TestClient[Litestar], client: NewClient) -> None:
    assert http.post("/oauth/revoke", data={"token": "nonsense"}, auth=pair(client)).status_code == 200


def test_a_client_cannot_revoke_anothers_token(
    http: TestClient[Litestar], client: NewClient, database: Database
) -> None:
    foreign = token_of(http, new_client(database, "Another"))
    answer = http.post("/oauth/revoke", data={"token": foreign}, auth=pair(client))
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert http.get("/guarded", headers=bearer(foreign)).status_code == 200


@pytest.mark.parametrize("path", ["/oauth/revoke", "/oauth/introspect"])
def test_both_ask_for_the_client_and_the_token(http: TestClient[Litestar], client: NewClient, path: str) -> None:
    nobody = http.post(path, data={"token": "x"})
    assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_client")
    assert nobody.headers["www-authenticate"].startswith("Basic")
    empty = http.post(path, content="token_type_hint=x", headers=FORM, auth=pair(client))
    assert (empty.status_code, empty.json()["error"]) == (400, "invalid_request")


def test_a_gateway_may_ask_about_everybodys_tokens(
    http: TestClient[Litestar], client: NewClient, database: Database
) -> None:
    gateway = new_client(database, "Gateway", scopes=[clients.INTROSPECT])
    token = token_of(http, client, "registry:read")
    answer = http.post("/oauth/introspect", data={"token": token}, auth=pair(gateway)).json()
    assert (answer["active"], answer["client_id"], answer["scope"]) == (True, client.client_id, "registry:read")
    assert http.post("/oauth/revoke", data={"token": token}, auth=pair(gateway)).status_code == 400
    with database.transaction() as session:
        clients.revoke_client(session, clients.one_of_service(session, client.service_id, client.client_id))
    assert http.post("/oauth/introspect", data={"token": token}, auth=pair(gateway)).json() == {"active": False}


def test_nobody_may_ask_about_others_tokens_unasked(database: Database) -> None:
    assert clients.INTROSPECT not in new_client(database, "Ordinary").scopes


def test_the_metadata_satisfies_rfc_8414(http: TestClient[Litestar], database: Database) -> None:
    body = http.get("/.well-known/oauth-authorization-server").json()
    assert body["issuer"] == BASE_URL
    assert body["token_endpoint"] == f"{BASE_URL}/oauth/token"
    assert body["grant_types_supported"] == ["client_credentials"]
    assert "none" not in body["token_endpoint_auth_signing_alg_values_supported"]
    assert body["scopes_supported"] == list(clients.ALL_SCOPES)
    secure = {name: _https(value) for name, value in body.items()}
    AuthorizationServerMetadata(secure).validate()


def _https(value: object) -> object:
    return value.replace("http://127.0.0.1:8000", "https://carillon.example") if isinstance(value, str) else value


def test_anyone_can_check_a_token_with_the_published_keys(http: TestClient[Litestar], client: NewClient) -> None:
    published = http.get("/.well-known/jwks.json").json()
    key = published["keys"][0]
    assert (key["use"], key["alg"], key["kty"], key["crv"]) == ("sig", "EdDSA", "OKP", "Ed25519")
    assert "d" not in key
    token = token_of(http, client)
    read = jwt.decode(token, KeySet.import_key_set(published), registry=signatures.REGISTRY)
    assert read.claims["client_id"] == client.client_id


def test_every_answer_is_in_the_openapi_document(http: TestClient[Litestar]) -> None:
    document = openapi.create_document(http.app)
    for path in ("/oauth/token", "/oauth/revoke", "/oauth/introspect"):
        operation = document["paths"][path]["post"]
        assert set(operation["responses"]) >= {"200", "400", "401", "413", "503"}
        form = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        model = form["$ref"].removeprefix("#/components/schemas/")
        assert "client_assertion" in document["components"]["schemas"][model]["properties"]
