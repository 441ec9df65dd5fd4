"""How we prove to an OpenID provider who we are, and what people hear when it refuses."""

import base64
from collections.abc import Callable
from urllib.parse import unquote_plus

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from backend.accounts.oauth import signatures, signing_key
from backend.lib import settings
from tests.portal.conftest import BASE_URL, Browser
from tests.portal.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from tests.portal.openid_sign_in import arrive, depart, refused

pytestmark = pytest.mark.usefixtures("moving_clock", "ada")

# Characters that form encoding changes (RFC 6749, appendix B).
HARD_ID, HARD_SECRET = "carillon:Ünit 1", "50% of a+b&c=d/é"


def redeemed(browser: Browser, provider: OpenIdProvider) -> dict[str, str]:
    """Sign in and return what the token endpoint was sent."""
    assert arrive(browser, provider, depart(browser)).status_code == 303
    return provider.asked[-1]


def test_basic_is_the_method_where_the_provider_does_not_say(browser: Browser, provider: OpenIdProvider) -> None:
    sent = redeemed(browser, provider)
    assert sent["authorization"].startswith("Basic ")
    assert not {"client_secret", "client_assertion"} & set(sent)


def test_id_and_secret_are_form_encoded_in_basic(
    browser: Browser, provider: OpenIdProvider, configure: Callable[..., settings.Settings]
) -> None:
    provider.claims = {"aud": HARD_ID}
    configure(OIDC_ISSUER=provider.issuer, OIDC_CLIENT_ID=HARD_ID, OIDC_CLIENT_SECRET=HARD_SECRET, BASE_URL=BASE_URL)
    sent = redeemed(browser, provider)
    pair = base64.b64decode(sent["authorization"].removeprefix("Basic ")).decode("ascii")
    assert [unquote_plus(part) for part in pair.split(":")] == [HARD_ID, HARD_SECRET]


def test_the_form_is_used_where_the_provider_wants_it(browser: Browser, provider: OpenIdProvider) -> None:
    provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post", "private_key_jwt"]
    sent = redeemed(browser, provider)
    assert (sent["client_id"], sent["client_secret"], sent["authorization"]) == (CLIENT_ID, CLIENT_SECRET, "")


def test_a_signed_assertion_is_used_where_nothing_else_is_taken(browser: Browser, provider: OpenIdProvider) -> None:
    provider.metadata["token_endpoint_auth_methods_supported"] = ["private_key_jwt", "tls_client_auth"]
    sent = redeemed(browser, provider)
    keys = KeySet.import_key_set(signing_key.public_jwks())
    claims = jwt.decode(sent["client_assertion"], keys, registry=signatures.REGISTRY).claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == (CLIENT_ID, CLIENT_ID, f"{provider.issuer}/token")
    assert claims["exp"] - claims["iat"] == 60
    assert CLIENT_SECRET not in str(sent)


def test_a_provider_that_takes_none_of_them_is_named_to_the_operator(
    browser: Browser, provider: OpenIdProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.metadata["token_endpoint_auth_methods_supported"] = ["tls_client_auth"]
    assert browser.send("/portal/sign-in/oidc").status_code == 503
    assert "takes none of client_secret_basic, client_secret_post, private_key_jwt" in caplog.text


def test_what_the_provider_says_of_a_refusal_is_shown_and_logged(
    browser: Browser, provider: OpenIdProvider, caplog: pytest.LogCaptureFixture
) -> None:
    asked = depart(browser)
    said = {"error": "access_denied", "error_description": "AADSTS50105: not assigned to a role."}
    refused(arrive(browser, provider, asked, code=None, **said), "AADSTS50105: not assigned to a role (access_denied).")
    assert "access_denied (AADSTS50105: not assigned to a role)" in caplog.text


def test_what_the_token_endpoint_says_is_shown_and_logged(
    browser: Browser, provider: OpenIdProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.refusal = {"error": "invalid_client", "error_description": "The client secret has expired"}
    refused(arrive(browser, provider, depart(browser)), "The client secret has expired (invalid_client).")
    assert "invalid_client (The client secret has expired)" in caplog.text


@pytest.mark.parametrize("error", ["<b>x</b>", "a\u0007\nb", "x" * 10_000, ""])
def test_what_a_provider_says_can_break_neither_page_nor_log(
    error: str, browser: Browser, provider: OpenIdProvider, caplog: pytest.LogCaptureFixture
) -> None:
    answer = arrive(browser, provider, depart(browser), code=None, error=error, error_description=error)
    refused(answer, "did not sign you in")
    assert "<b>" not in answer.text
    assert all("\n" not in record.getMessage() for record in caplog.records)
    assert len(answer.text) < 20_000
