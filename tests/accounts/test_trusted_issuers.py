"""Access tokens of issuers outside of the installation, whose keys are fetched over real HTTP."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from backend.accounts import access
from backend.accounts.access import Principal
from backend.accounts.clients import NewClient
from backend.accounts.oauth import trusted_issuers
from backend.db import database as db
from backend.db.database import Database
from backend.lib import settings
from backend.lib.problems import Problem
from tests.accounts.http_client import BASE_URL, new_client
from tests.accounts.issuer_server import OAUTH, OPENID, IssuerServer
from tests.conftest import MovableClock


@pytest.fixture
def issuer() -> Iterator[IssuerServer]:
    server = IssuerServer()
    yield server
    server.close()


@pytest.fixture
def client(
    database: Database, configure: Callable[..., settings.Settings], issuer: IssuerServer, moving_clock: MovableClock
) -> NewClient:
    configure(TRUSTED_ISSUERS=f"https://other.example, {issuer.address}")
    return new_client(db.current(), scopes=["notifications:read"])


def ask(token: str, scope: str = "notifications:read") -> Principal:
    return access.authenticate(f"Bearer {token}", scope)


def refusal(token: str) -> str:
    with pytest.raises(Problem) as refused:
        ask(token)
    return refused.value.code


@pytest.mark.parametrize("where", [OAUTH, OPENID])
def test_a_trusted_issuers_token_is_accepted(issuer: IssuerServer, client: NewClient, where: str) -> None:
    issuer.publish(where)
    found = ask(issuer.token(client))
    assert (found.client_id, found.service_id) == (client.client_id, client.service_id)
    assert found.scopes == {"notifications:read"}
    assert found.token_id != "one"
    asked = list(issuer.asked)
    ask(issuer.token(client, jti="two"))
    assert issuer.asked == asked


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://stranger.example"},
        {"iss": BASE_URL},
        {"aud": "https://other.example"},
        {"client_id": "nobody"},
        {"exp": 1},
        {"jti": None},
    ],
)
def test_wrong_claims_are_refused(issuer: IssuerServer, client: NewClient, changes: dict[str, Any]) -> None:
    issuer.publish()
    assert refusal(issuer.token(client, **changes)) == "invalid_token"


def test_a_stranger_cannot_sign_for_the_issuer(issuer: IssuerServer, client: NewClient) -> None:
    issuer.publish()
    assert refusal(issuer.token(client, RSAKey.generate_key(2048, {"kid": "first"}))) == "invalid_token"
    assert refusal(issuer.token(client, ECKey.generate_key("P-256", {"kid": "first"}), "ES256")) == "invalid_token"
    secret = OctKey.import_key("x" * 32, {"kid": "first"})
    header, claims = {"alg": "HS256", "kid": "first"}, {"iss": issuer.address}
    assert refusal(jwt.encode(header, claims, secret, algorithms=["HS256"])) == "invalid_token"


def test_a_new_key_is_fetched_at_most_once_a_minute(
    issuer: IssuerServer, client: NewClient, moving_clock: MovableClock
) -> None:
    issuer.publish()
    ask(issuer.token(client))
    issuer.key = ECKey.generate_key("P-256", {"kid": "second"})
    issuer.publish()
    asked = len(issuer.asked)
    for _ in range(3):
        assert refusal(issuer.token(client, algorithm="ES256")) == "invalid_token"
    assert len(issuer.asked) == asked
    moving_clock.forward(seconds=60)
    assert ask(issuer.token(client, algorithm="ES256")).client_id == client.client_id


def test_old_keys_serve_on_while_the_issuer_is_away(
    issuer: IssuerServer, client: NewClient, moving_clock: MovableClock
) -> None:
    issuer.publish()
    ask(issuer.token(client))
    issuer.pages.clear()
    moving_clock.forward(seconds=700)
    assert ask(issuer.token(client, jti="two")).client_id == client.client_id


@pytest.mark.parametrize(
    "page",
    [
        (302, {"Location": "/elsewhere"}, "{}"),
        (200, {}, "[]"),
        (200, {}, "no json"),
        (200, {}, '{"a": "' + "x" * 300_000 + '"}'),
        {"issuer": "https://stranger.example", "jwks_uri": "http://127.0.0.1/keys"},
        {"jwks_uri": "http://keys.example/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": 7},
        {"jwks_uri": "https://127.0.0.1:99999/keys"},
        {"jwks_uri": "http://user@127.0.0.1/keys"},
    ],
)
def test_metadata_that_cannot_be_trusted_brings_no_key(issuer: IssuerServer, client: NewClient, page: Any) -> None:
    issuer.publish()
    good = issuer.pages[OAUTH]
    changed = good | page if isinstance(page, dict) else page
    issuer.pages |= {OAUTH: changed, OPENID: changed, "/elsewhere": good}
    asked = len(issuer.asked)
    for _ in range(3):
        assert refusal(issuer.token(client)) == "unavailable"
    assert len(issuer.asked) - asked <= 2
    assert "/keys" not in issuer.asked
    assert "/elsewhere" not in issuer.asked


def test_an_issuer_cannot_send_us_to_what_only_we_can_reach(
    issuer: IssuerServer, client: NewClient, configure: Callable[..., settings.Settings]
) -> None:
    inside = IssuerServer()
    try:
        inside.publish()
        issuer.publish(jwks_uri=f"{inside.address}/keys")
        assert refusal(issuer.token(client)) == "unavailable"
        assert inside.asked == []
        allowed = inside.address.removeprefix("http://")
        configure(TRUSTED_ISSUERS=issuer.address, OUTBOUND_ALLOW=allowed)
        assert ask(issuer.token(client)).client_id == client.client_id
        assert inside.asked == ["/keys"]
    finally:
        inside.close()


def test_an_issuer_that_sends_its_keys_by_drips_is_left(
    issuer: IssuerServer, client: NewClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trusted_issuers, "_TIMEOUT_SECONDS", 0.2)
    issuer.publish()
    issuer.drips = True
    assert refusal(issuer.token(client)) == "unavailable"
    issuer.drips = False
