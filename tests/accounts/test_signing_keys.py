"""The keys that sign access tokens: by algorithm, the same in every process, and changed without a pause."""

from collections.abc import Callable

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from litestar import Litestar
from litestar.testing import TestClient

from backend.accounts.clients import NewClient
from backend.accounts.oauth import signatures, signing_key
from backend.db import database as db
from backend.lib import settings
from tests.accounts.http_client import bearer, http_client, new_client, token_of

ALGORITHMS = ("EdDSA", "ES256", "RS256")
KEY, NEXT_KEY = "the-first-secret-key-0123456789", "the-second-secret-key-0123456789"


@pytest.fixture
def sign_with(any_database: object, configure: Callable[..., settings.Settings]) -> Callable[..., TestClient[Litestar]]:
    """Give what starts the application anew with an algorithm, on the same database."""
    address = db.current().url.render_as_string(hide_password=False)

    def start(algorithm: str, **others: str) -> TestClient[Litestar]:
        configure(**({"DATABASE_URL": address, "TOKEN_ALGORITHM": algorithm, "SECRET_KEY": KEY} | others))
        for kept in (signing_key._ed25519, signing_key._p256, signing_key._rsa, signing_key._opened):
            kept.cache_clear()
        return http_client()

    return start


def client_of() -> NewClient:
    return new_client(db.current())


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_tokens_are_signed_as_the_setting_says(algorithm: str, sign_with: Callable[..., TestClient[Litestar]]) -> None:
    http = sign_with(algorithm)
    token = token_of(http, client_of())
    published = http.get("/.well-known/jwks.json").json()
    assert (published["keys"][0]["alg"], published["keys"][0]["kid"]) == (algorithm, signing_key.current().kid)
    only_this = KeySet.import_key_set({"keys": published["keys"][:1]})
    read = jwt.decode(token, only_this, registry=signatures.REGISTRY)
    assert (read.header["alg"], read.header["kid"]) == (algorithm, published["keys"][0]["kid"])
    assert not {"d", "p", "q", "dp", "dq", "qi"} & {member for key in published["keys"] for member in key}
    assert http.get("/guarded", headers=bearer(token)).status_code == 200


@pytest.mark.parametrize("before", ALGORITHMS)
@pytest.mark.parametrize("after", ALGORITHMS)
def test_a_change_of_algorithm_refuses_no_token(
    before: str, after: str, sign_with: Callable[..., TestClient[Litestar]]
) -> None:
    token = token_of(sign_with(before), client_of())
    kid = signing_key.current().kid
    http = sign_with(after)
    assert http.get("/guarded", headers=bearer(token)).status_code == 200
    keys = http.get("/.well-known/jwks.json").json()["keys"]
    assert keys[0]["alg"] == after
    assert kid in [key["kid"] for key in keys]
    assert len({key["kid"] for key in keys}) == len(keys)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_secret_key_brings_another_signing_key_beside_the_one_before(
    algorithm: str, sign_with: Callable[..., TestClient[Litestar]]
) -> None:
    token = token_of(sign_with(algorithm), client_of())
    before = signing_key.current().kid
    http = sign_with(algorithm, SECRET_KEY=NEXT_KEY, OLD_SECRET_KEYS=KEY)
    assert signing_key.current().kid != before
    assert http.get("/guarded", headers=bearer(token)).status_code == 200
    http = sign_with(algorithm, SECRET_KEY=NEXT_KEY, OLD_SECRET_KEYS="")
    assert http.get("/guarded", headers=bearer(token)).status_code == 401
    assert before not in [key["kid"] for key in http.get("/.well-known/jwks.json").json()["keys"]]


def test_the_setting_is_one_of_three(configure: Callable[..., settings.Settings]) -> None:
    with pytest.raises(settings.SettingError, match="CARILLON_TOKEN_ALGORITHM must be EdDSA, ES256 or RS256"):
        configure(TOKEN_ALGORITHM="HS256")
