"""Signing in through OpenID Connect: who gets in, and every answer that is turned away."""

from collections.abc import Callable

import pytest
from joserfc.jwk import OctKey, RSAKey
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import select, update

from backend.accounts import identities, invitations, services, users
from backend.db.database import Database
from backend.db.models.accounts import Identity, OidcAttempt, User
from backend.lib import settings
from tests.conftest import MovableClock
from tests.portal.conftest import BASE_URL, Browser
from tests.portal.openid_provider import CLIENT_ID, CLIENT_SECRET, OpenIdProvider
from tests.portal.openid_sign_in import arrive, depart, refused
from tests.portal.people_and_messages import service, user

pytestmark = pytest.mark.usefixtures("moving_clock")


def test_a_known_identity_is_signed_in_and_led_on(
    browser: Browser, provider: OpenIdProvider, ada: int, database: Database
) -> None:
    asked = depart(browser, next="/portal/outbox?view=text")
    assert asked["redirect_uri"] == f"{BASE_URL}/portal/sign-in/oidc/callback"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert "openid" in asked["scope"].split()
    answer = arrive(browser, provider, asked)
    assert (answer.status_code, answer.headers["location"]) == (303, "/portal/outbox?view=text")
    assert "ada@lab.example" in browser.get("/portal/account").text
    (redeemed,) = provider.asked
    assert redeemed["redirect_uri"] == asked["redirect_uri"]
    assert redeemed["authorization"].startswith("Basic ")
    with database.read() as session:
        assert session.scalars(select(OidcAttempt)).all() == []


def test_the_browser_is_told_only_inside_addresses(browser: Browser, provider: OpenIdProvider, ada: int) -> None:
    answer = arrive(browser, provider, depart(browser, next="https://evil.example/"))
    assert answer.headers["location"] == "/portal"


def test_a_session_of_before_is_replaced(browser: Browser, provider: OpenIdProvider, ada: int) -> None:
    browser.client.cookies.set("carillon", "planted-by-someone-else")
    arrive(browser, provider, depart(browser))
    assert "planted-by-someone-else" not in {cookie.value for cookie in browser.client.cookies.jar if cookie.domain}


def test_an_answer_is_good_once(browser: Browser, provider: OpenIdProvider, ada: int) -> None:
    asked = depart(browser)
    arrive(browser, provider, asked)
    browser.send("/portal/sign-out")
    refused(arrive(browser, provider, asked), "is finished")
    assert browser.get("/portal/account").status_code == 303


def test_an_answer_belongs_to_the_browser_that_set_out(
    browser: Browser, provider: OpenIdProvider, ada: int, client: TestClient[Litestar]
) -> None:
    asked = depart(browser)
    client.cookies.delete("carillon-oidc")
    refused(arrive(browser, provider, asked), "another browser")


def test_an_answer_may_take_ten_minutes(
    browser: Browser, provider: OpenIdProvider, ada: int, moving_clock: MovableClock
) -> None:
    asked = depart(browser)
    moving_clock.forward(minutes=10)
    refused(arrive(browser, provider, asked), "longer than ten minutes")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "made-up"}, "another browser"),
        ({"iss": "https://evil.example"}, "another identity provider"),
        ({"iss": None}, "another identity provider"),
        ({"code": None}, "did not sign you in"),
        ({"code": "not-the-nonce"}, "could not be accepted"),
    ],
)
def test_an_answer_that_was_tampered_with_is_refused(
    browser: Browser, provider: OpenIdProvider, ada: int, changes: dict[str, str | None], reason: str
) -> None:
    refused(arrive(browser, provider, depart(browser), **changes), reason)


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.example"},
        {"aud": "another-client"},
        {"aud": "another-client", "azp": CLIENT_ID},
        {"aud": [CLIENT_ID, "another-client"], "azp": CLIENT_ID},
        {"aud": None},
        {"iss": None},
        {"sub": None},
        {"sub": "x" * 256},
        {"nonce": "another-nonce"},
        {"nonce": None},
        {"exp": 1},
        {"exp": None},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
)
def test_a_token_that_is_not_for_us_is_refused(
    browser: Browser, provider: OpenIdProvider, ada: int, claims: dict[str, object]
) -> None:
    provider.claims = claims
    assert arrive(browser, provider, depart(browser)).status_code == 403
    assert browser.get("/portal/account").status_code == 303


def unsigned(provider: OpenIdProvider) -> None:
    """Leave the signature out, with claims that would be right."""
    signed = provider.token

    def token(nonce: str) -> str:
        claims = signed(nonce).split(".")[1]
        return f"eyJhbGciOiJub25lIn0.{claims}."

    provider.token = token  # type: ignore[method-assign]


def with_the_client_secret(provider: OpenIdProvider) -> None:
    provider.key, provider.header = OctKey.import_key(CLIENT_SECRET), {"alg": "HS256"}


def with_another_key(provider: OpenIdProvider) -> None:
    provider.key = RSAKey.generate_key(2048, {"kid": "one"})


@pytest.mark.parametrize("misbehave", [unsigned, with_the_client_secret, with_another_key])
def test_a_signature_that_proves_nothing_is_refused(
    browser: Browser, provider: OpenIdProvider, ada: int, misbehave: Callable[[OpenIdProvider], None]
) -> None:
    misbehave(provider)
    refused(arrive(browser, provider, depart(browser)), "could not be accepted")


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"id_token_signing_alg_values_supported": ["none", "HS256"]},
        {"token_endpoint": "http://evil.example/token"},
        {"authorization_endpoint": None},
    ],
)
def test_a_provider_whose_metadata_cannot_be_used_is_named_to_the_operator(
    browser: Browser, provider: OpenIdProvider, metadata: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    provider.metadata |= metadata
    answer = browser.send("/portal/sign-in/oidc")
    assert answer.status_code == 503
    assert "does not work at the moment" in answer.text
    assert provider.issuer in caplog.text


def test_an_unknown_person_is_told_whom_to_ask(browser: Browser, provider: OpenIdProvider, database: Database) -> None:
    user(database)
    provider.claims = {"email": "ada@lab.example", "email_verified": True}
    answer = arrive(browser, provider, depart(browser))
    assert answer.status_code == 403
    assert "Ask an administrator of your service" in answer.text
    assert browser.get("/portal/account").status_code == 303
    with database.read() as session:
        assert session.scalars(select(Identity)).all() == []


def test_an_invitation_makes_an_account_without_a_password(
    browser: Browser, provider: OpenIdProvider, database: Database
) -> None:
    lab = service(database)
    with database.transaction() as session:
        owner = services.service_by_id(session, lab)
        key = invitations.invite(session, owner, "bob@lab.example", "viewer", "ada@lab.example").secret
    provider.claims = {"sub": "bob-2", "email": "robert@elsewhere.example"}
    answer = arrive(browser, provider, depart(browser, key=key))
    assert answer.headers["location"] == f"/portal/services/{lab}"
    page = browser.get("/portal/account").text
    assert "bob@lab.example" in page
    assert "you sign in through 127.0.0.1" in page
    with database.read() as session:
        bob = users.by_email(session, "bob@lab.example")
        assert bob is not None
        assert bob.password_hash is None
        assert [one.subject for one in identities.of_user(session, bob.id)] == ["bob-2"]
    browser.send("/portal/sign-out")
    assert arrive(browser, provider, depart(browser)).status_code == 303


def test_one_connects_ones_own_account(browser: Browser, provider: OpenIdProvider, database: Database) -> None:
    user(database)
    browser.sign_in()
    answer = arrive(browser, provider, depart(browser, connect="true"))
    assert answer.headers["location"] == "/portal/account"
    assert "You can sign in through 127.0.0.1 from now on." in browser.get("/portal/account").text
    user(database, "bob@lab.example")
    browser.sign_in(email="bob@lab.example")
    refused(arrive(browser, provider, depart(browser, connect="true")), "belongs to another account")


def test_nobody_connects_without_being_signed_in(browser: Browser, provider: OpenIdProvider) -> None:
    assert browser.send("/portal/sign-in/oidc", connect="true").status_code == 303


def test_a_deactivated_person_stays_out(
    browser: Browser, provider: OpenIdProvider, ada: int, database: Database
) -> None:
    with database.transaction() as session:
        session.execute(update(User).where(User.id == ada).values(active=False))
    refused(arrive(browser, provider, depart(browser)), "switched off")


def test_a_new_key_of_the_provider_is_fetched(browser: Browser, provider: OpenIdProvider, ada: int) -> None:
    arrive(browser, provider, depart(browser))
    provider.published = provider.key = RSAKey.generate_key(2048, {"kid": "two", "use": "sig", "alg": "RS256"})
    provider.header = {"alg": "RS256", "kid": "two"}
    assert arrive(browser, provider, depart(browser)).status_code == 303


def test_without_a_provider_there_is_no_such_way(browser: Browser) -> None:
    assert "Sign in through" not in browser.get("/portal/sign-in").text
    assert browser.send("/portal/sign-in/oidc").status_code == 404
    assert browser.get("/portal/sign-in/oidc/callback?state=x&code=y").status_code == 404


def test_no_secret_of_the_exchange_reaches_the_log(
    browser: Browser, provider: OpenIdProvider, ada: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="backend")
    asked = depart(browser)
    arrive(browser, provider, asked)
    (redeemed,) = provider.asked
    for secret in (redeemed["code_verifier"], asked["state"], asked["nonce"], CLIENT_SECRET):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"OIDC_ISSUER": "https://id.example"}, "CARILLON_OIDC_CLIENT_ID and CARILLON_OIDC_CLIENT_SECRET must be set"),
        ({"OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "y"}, "CARILLON_OIDC_ISSUER must be set"),
        ({"OIDC_ISSUER": "http://id.example", "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "y"}, "an https address"),
        ({"OIDC_ISSUER": "https://id.example?x", "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "y"}, "without a query"),
        ({"OIDC_ISSUER": "id.example", "OIDC_CLIENT_ID": "x", "OIDC_CLIENT_SECRET": "y"}, "an https address"),
    ],
)
def test_settings_that_cannot_be_used_stop_the_start(values: dict[str, str], said: str) -> None:
    environ = {f"CARILLON_{name}": value for name, value in values.items()}
    with pytest.raises(settings.SettingError, match=said):
        settings.from_environment({"CARILLON_SECRET_KEY": "x" * 32, **environ})


def test_a_provider_that_answers_without_end_is_left(
    browser: Browser, provider: OpenIdProvider, database: Database
) -> None:
    provider.metadata["padding"] = "x" * 300_000
    answer = browser.send("/portal/sign-in/oidc")
    assert answer.status_code == 503
    assert "does not work at the moment" in answer.text
