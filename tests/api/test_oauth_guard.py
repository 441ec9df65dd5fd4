"""A guarded address: who may pass, what others are told, and how soon a revocation is honoured."""

import timeit
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, OKPKey
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import update

from backend.accounts import access, clients, revocations
from backend.accounts.clients import NewClient
from backend.accounts.oauth import access_tokens, signatures, signing_key
from backend.db.database import Database
from backend.db.models.accounts import ApiClient, RevokedToken
from backend.lib import clock
from tests.accounts.http_client import BASE_URL, bearer, http_client, new_client, token_of
from tests.conftest import MovableClock


@pytest.fixture
def client(database: Database) -> NewClient:
    return new_client(database, scopes=["notifications:read", "notifications:send"])


@pytest.fixture
def http(database: Database) -> TestClient[Litestar]:
    return http_client()


def challenge(http: TestClient[Litestar], headers: dict[str, str], status: int = 401) -> str:
    answer = http.get("/guarded", headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return str(answer.headers["www-authenticate"])


def signed(header: dict[str, Any], claims: dict[str, Any], key: Any = None) -> str:
    chosen = key or signing_key.current()
    return jwt.encode(
        {"alg": "EdDSA", "kid": chosen.kid, **header}, claims, chosen, registry=signatures.REGISTRY, default_type=None
    )


def claims_of(client: NewClient, **changes: Any) -> dict[str, Any]:
    now = int(clock.timestamp())
    claims = {
        "iss": BASE_URL,
        "aud": BASE_URL,
        "sub": client.client_id,
        "client_id": client.client_id,
        "iat": now,
        "exp": now + 60,
        "jti": "a-token",
        "scope": "notifications:read",
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def test_a_token_opens_what_its_scope_covers(http: TestClient[Litestar], client: NewClient) -> None:
    answer = http.get("/guarded", headers=bearer(token_of(http, client)))
    assert answer.status_code == 200
    body = answer.json()
    assert body["client_id"] == client.client_id
    assert body["service_id"] == client.service_id
    assert body["scopes"] == ["notifications:read", "notifications:send"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic eDp5"}, {"Authorization": ""}])
def test_without_a_token_the_challenge_is_bare(http: TestClient[Litestar], headers: dict[str, str]) -> None:
    assert challenge(http, headers) == 'Bearer realm="Carillon"'


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "a b", "é".encode().decode("latin-1"), "x" * 9000, '"'])
def test_a_malformed_token_is_invalid(http: TestClient[Litestar], token: str) -> None:
    header = f"Bearer {token}".encode("latin-1")
    answer = http.get("/guarded", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer realm="Carillon", error="invalid_token"')
    assert answer.json()["code"] == "invalid_token"


def test_a_missing_scope_is_named(http: TestClient[Litestar], client: NewClient) -> None:
    answer = http.post("/guarded", headers=bearer(token_of(http, client)))
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")
    header = answer.headers["www-authenticate"]
    assert header.startswith('Bearer realm="Carillon", error="insufficient_scope", error_description="')
    assert header.endswith('scope="registry:write"')


def test_a_token_without_type_or_of_another_type_is_refused(http: TestClient[Litestar], client: NewClient) -> None:
    assert http.get("/guarded", headers=bearer(signed({"typ": "at+jwt"}, claims_of(client)))).status_code == 200
    long_form = signed({"typ": "application/at+jwt"}, claims_of(client))
    assert http.get("/guarded", headers=bearer(long_form)).status_code == 200
    for header in ({}, {"typ": "JWT"}, {"typ": ""}):
        assert "invalid_token" in challenge(http, bearer(signed(header, claims_of(client))))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"iss": None},
        {"iss": ["x"]},
        {"aud": "https://elsewhere.example"},
        {"aud": None},
        {"aud": {}},
        {"exp": 1},
        {"exp": None},
        {"exp": "9999999999"},
        {"sub": None},
        {"jti": None},
        {"iat": None},
        {"client_id": None},
        {"client_id": "nobody"},
        {"client_id": "a\x00é"},
        {"nbf": 9999999999},
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    http: TestClient[Litestar], client: NewClient, changes: dict[str, Any]
) -> None:
    assert "invalid_token" in challenge(http, bearer(signed({"typ": "at+jwt"}, claims_of(client, **changes))))


def test_a_token_of_another_key_or_algorithm_is_refused(http: TestClient[Litestar], client: NewClient) -> None:
    stranger = OKPKey.generate_key("Ed25519", {"kid": signing_key.current().kid})
    assert "invalid_token" in challenge(http, bearer(signed({"typ": "at+jwt"}, claims_of(client), stranger)))
    secret = OctKey.import_key("x" * 32)
    for algorithm in ("none", "HS256"):
        header = {"alg": algorithm, "typ": "at+jwt"}
        token = jwt.encode(header, claims_of(client), secret, algorithms=[algorithm])
        assert challenge(http, bearer(token)).startswith('Bearer realm="Carillon"')


def test_a_remembered_token_ends_on_time(
    http: TestClient[Litestar], client: NewClient, moving_clock: MovableClock
) -> None:
    token = token_of(http, client)
    for seconds in (0, 300, 299):
        moving_clock.forward(seconds=seconds)
        assert http.get("/guarded", headers=bearer(token)).status_code == 200
    moving_clock.forward(seconds=1)
    assert "invalid_token" in challenge(http, bearer(token))


def test_a_signature_is_checked_once(
    http: TestClient[Litestar], client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = token_of(http, client)
    checked: list[str] = []
    real = access_tokens.read
    monkeypatch.setattr(access_tokens, "read", lambda given: checked.append(given) or real(given))
    for _ in range(5):
        assert http.get("/guarded", headers=bearer(token)).status_code == 200
    assert checked == [token]


def test_a_token_revoked_by_another_process_is_refused_within_seconds(
    http: TestClient[Litestar], client: NewClient, database: Database, moving_clock: MovableClock
) -> None:
    token = token_of(http, client)
    assert http.get("/guarded", headers=bearer(token)).status_code == 200
    jti = access_tokens.read(token).jti
    with database.transaction() as session:
        session.add(RevokedToken(jti=jti, expires_at=clock.now() + timedelta(seconds=600)))
    moving_clock.forward(seconds=revocations.RELOAD_SECONDS)
    assert "invalid_token" in challenge(http, bearer(token))


def test_a_client_revoked_by_another_process_is_refused_within_seconds(
    http: TestClient[Litestar], client: NewClient, database: Database, moving_clock: MovableClock
) -> None:
    token = token_of(http, client)
    assert http.get("/guarded", headers=bearer(token)).status_code == 200
    with database.transaction() as session:
        session.execute(update(ApiClient).values(revoked_at=clock.now()))
    moving_clock.forward(seconds=revocations.RELOAD_SECONDS)
    assert "invalid_token" in challenge(http, bearer(token))


def test_a_client_revoked_here_is_refused_at_once(
    http: TestClient[Litestar], client: NewClient, database: Database
) -> None:
    token = token_of(http, client)
    assert http.get("/guarded", headers=bearer(token)).status_code == 200
    with database.transaction() as session:
        row = clients.by_client_id(session, client.client_id)
        assert row is not None
        clients.revoke_client(session, row)
    assert "invalid_token" in challenge(http, bearer(token))


def test_a_scope_taken_from_the_client_is_gone_from_new_checks(
    http: TestClient[Litestar], client: NewClient, database: Database
) -> None:
    token = token_of(http, client)
    with database.transaction() as session:
        session.execute(update(ApiClient).values(scopes="notifications:send"))
    assert http.get("/guarded", headers=bearer(token)).status_code == 403


def test_revocations_past_their_end_are_forgotten(
    http: TestClient[Litestar], client: NewClient, database: Database, moving_clock: MovableClock
) -> None:
    token = token_of(http, client)
    http.post("/oauth/revoke", data={"token": token}, auth=(client.client_id, client.client_secret))
    for seconds, left in ((0, 1), (601, 0)):
        moving_clock.forward(seconds=seconds)
        with database.transaction() as session:
            revocations.purge_expired(session)
            assert session.query(RevokedToken).count() == left


def test_without_the_database_a_new_token_cannot_be_validated(
    http: TestClient[Litestar], client: NewClient, database: Database
) -> None:
    token = token_of(http, client)
    with database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE revoked_tokens RENAME TO elsewhere")
    answer = http.get("/guarded", headers=bearer(token))
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"


def test_memory_is_bounded(database: Database, client: NewClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "MAX_CACHED", 3)
    tokens = [access_tokens.issue(client.client_id, "notifications:read") for _ in range(5)]
    for token in tokens:
        access.authenticate(f"Bearer {token}", "notifications:read")
    cached = [access.recognised(f"Bearer {token}", "notifications:read") is not None for token in tokens]
    assert cached == [False, False, True, True, True]


def test_a_remembered_token_costs_next_to_nothing(database: Database, client: NewClient) -> None:
    header = f"Bearer {access_tokens.issue(client.client_id, 'notifications:read')}"
    access.authenticate(header, "notifications:read")
    rounds = timeit.repeat(lambda: access.recognised(header, "notifications:read"), number=200, repeat=20)
    assert min(rounds) / 200 < 30e-6
