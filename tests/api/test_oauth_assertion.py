"""Clients that authenticate with a key of their own: ``private_key_jwt``."""

from typing import Any

import pytest
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc import jwt
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from litestar import Litestar
from litestar.testing import TestClient

from backend.accounts import clients
from backend.accounts.clients import NewClient
from backend.accounts.oauth.client_assertions import ASSERTION_TYPE
from backend.db.database import Database
from backend.lib.problems import Problem
from tests.accounts.http_client import BASE_URL, http_client, new_client
from tests.conftest import MovableClock

TOKEN_ENDPOINT = f"{BASE_URL}/oauth/token"
KEYS: dict[str, Key] = {
    "RS256": RSAKey.generate_key(2048, {"kid": "rsa"}),
    "PS256": RSAKey.generate_key(2048, {"kid": "pss"}),
    "ES256": ECKey.generate_key("P-256", {"kid": "ec"}),
    "Ed25519": OKPKey.generate_key("Ed25519", {"kid": "ed"}),
}
JWKS = {"keys": [key.as_dict(private=False) for key in KEYS.values()]}


@pytest.fixture
def client(database: Database) -> NewClient:
    return new_client(database, jwks=JWKS)


@pytest.fixture
def http(database: Database) -> TestClient[Litestar]:
    return http_client()


def claims_of(client: NewClient, clock: MovableClock, **changes: Any) -> dict[str, Any]:
    now = int(clock().timestamp())
    claims = {
        "iss": client.client_id,
        "sub": client.client_id,
        "aud": TOKEN_ENDPOINT,
        "exp": now + 60,
        "iat": now,
        "jti": "one",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def signed(claims: dict[str, Any], algorithm: str = "ES256", key: Key | None = None) -> str:
    key = key or KEYS[algorithm]
    return jwt.encode({"alg": algorithm, "kid": key.kid or ""}, claims, key, algorithms=[algorithm])


def send(http: TestClient[Litestar], assertion: str, **changes: str) -> tuple[int, str]:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
    }
    answer = http.post("/oauth/token", data={**form, **changes})
    body = answer.json()
    return answer.status_code, str(body.get("error", body.get("token_type")))


@pytest.mark.parametrize("algorithm", list(KEYS))
def test_a_signed_assertion_brings_a_token(
    http: TestClient[Litestar], client: NewClient, moving_clock: MovableClock, algorithm: str
) -> None:
    assertion = signed(claims_of(client, moving_clock), algorithm)
    assert send(http, assertion, client_id=client.client_id) == (200, "Bearer")


def test_authlibs_own_client_gets_a_token(http: TestClient[Litestar], client: NewClient) -> None:
    method = PrivateKeyJWT(TOKEN_ENDPOINT, headers={"kid": "rsa"})

    class Auth:
        client_id = client.client_id
        client_secret = KEYS["RS256"]

    assert send(http, method.sign(Auth(), TOKEN_ENDPOINT)) == (200, "Bearer")


@pytest.mark.parametrize("audience", [BASE_URL, TOKEN_ENDPOINT, [TOKEN_ENDPOINT, "https://other.example"]])
def test_the_audience_is_the_issuer_or_the_token_endpoint(
    http: TestClient[Litestar], client: NewClient, moving_clock: MovableClock, audience: object
) -> None:
    assert send(http, signed(claims_of(client, moving_clock, aud=audience))) == (200, "Bearer")


def test_an_assertion_works_once(any_database: Database, moving_clock: MovableClock) -> None:
    client, http = new_client(any_database, jwks=JWKS), http_client()
    assertion = signed(claims_of(client, moving_clock))
    assert send(http, assertion) == (200, "Bearer")
    assert send(http, assertion) == (401, "invalid_client")
    assert send(http, signed(claims_of(client, moving_clock, exp=None) | {"exp": 0})) == (401, "invalid_client")
    moving_clock.forward(seconds=30)
    assert send(http, assertion) == (401, "invalid_client")
    assert send(http, signed(claims_of(client, moving_clock, jti="two"))) == (200, "Bearer")
    other = new_client(
        any_database, "Another", jwks=clients.checked_jwks({"keys": [KEYS["ES256"].as_dict(private=False)]})
    )
    assert send(http, signed(claims_of(other, moving_clock))) == (200, "Bearer")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.example"},
        {"aud": None},
        {"aud": {"a": 1}},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": 1},
        {"exp": 99999999999},
        {"nbf": 99999999999},
        {"nbf": "later"},
        {"iss": "someone"},
        {"sub": "someone"},
        {"sub": None},
        {"sub": 5},
        {"sub": "a\x00"},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "x" * 300},
    ],
)
def test_claims_that_are_wrong_are_refused(
    http: TestClient[Litestar], client: NewClient, moving_clock: MovableClock, changes: dict[str, Any]
) -> None:
    assert send(http, signed(claims_of(client, moving_clock, **changes))) == (401, "invalid_client")


def test_other_keys_and_algorithms_are_refused(
    http: TestClient[Litestar], client: NewClient, moving_clock: MovableClock, database: Database
) -> None:
    claims = claims_of(client, moving_clock)
    stranger = ECKey.generate_key("P-256", {"kid": "ec"})
    assert send(http, signed(claims, "ES256", stranger)) == (401, "invalid_client")
    public = KEYS["RS256"].as_pem(private=False)
    confused = OctKey.import_key(public.replace(b"-----", b""))
    shared = jwt.encode({"alg": "HS256", "kid": "rsa"}, claims, confused, algorithms=["HS256"])
    assert send(http, shared) == (401, "invalid_client")
    unsigned = jwt.encode({"alg": "none"}, claims, confused, algorithms=["none"])
    assert send(http, unsigned) == (401, "invalid_client")
    for nonsense in ("x", "a.b.c", "é", "." * 5, "x" * 9000):
        assert send(http, nonsense) == (401, "invalid_client")
    without_keys = new_client(database, "Another")
    assert send(http, signed(claims_of(without_keys, moving_clock))) == (401, "invalid_client")


def test_a_form_that_contradicts_the_assertion_is_refused(
    http: TestClient[Litestar], client: NewClient, moving_clock: MovableClock
) -> None:
    claims = claims_of(client, moving_clock)
    assert send(http, signed(claims), client_id="someone") == (401, "invalid_client")
    assert send(http, signed(claims), client_assertion_type="urn:other") == (400, "invalid_request")
    assert send(http, signed(claims), client_assertion_type="") == (400, "invalid_request")


def test_a_revoked_client_cannot_use_its_key(
    http: TestClient[Litestar], client: NewClient, moving_clock: MovableClock, database: Database
) -> None:
    with database.transaction() as session:
        row = clients.by_client_id(session, client.client_id)
        assert row is not None
        clients.revoke_client(session, row)
    assert send(http, signed(claims_of(client, moving_clock))) == (401, "invalid_client")


@pytest.mark.parametrize(
    "jwks",
    [
        {},
        {"keys": []},
        {"keys": "x"},
        {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]},
        {"keys": [KEYS["ES256"].as_dict(private=True)]},
        {"keys": [{"kty": "what"}]},
        {"keys": [7]},
    ],
)
def test_only_public_keys_are_registered(database: Database, jwks: dict[str, Any]) -> None:
    with pytest.raises(Problem) as refused:
        new_client(database, jwks=jwks)
    assert refused.value.code == "invalid_value"
